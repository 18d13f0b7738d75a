"""What openai 1 and newer asks of models: chats, completions, embeddings, audio, images, lists of models."""

import io
from functools import partial
from pathlib import Path

from either import each, first, settled
from recorder import azure_answers, recording

MESSAGES = [{"role": "user", "content": "Say hello, Grüße ✓."}]
NO_SUCH = "no-such-deployment"
SOUND = recording().getvalue()
# one pixel: whoever looks into it finds a picture
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415408d763f8cfc000000301010018dd8db00000000049454e44ae426082"
)


async def chat(client, model="gpt-4o", **options):
    completion = await settled(client.chat.completions.create(model=model, messages=MESSAGES, **options))
    choice = completion.choices[0]
    return {"text": choice.message.content, "finish": choice.finish_reason, "usage": completion.usage.to_dict()}


async def long_chat(client):
    """More than any buffer on the way."""
    messages = [{"role": "user", "content": "Grüße ✓ " * 200_000}]
    completion = await settled(client.chat.completions.create(model="gpt-4o", messages=messages))
    return len(completion.choices[0].message.content)


def streamed(client, model="gpt-4o", **options):
    return client.chat.completions.create(model=model, messages=MESSAGES, stream=True, **options)


async def stream(client, model="gpt-4o", **options):
    return "".join([told(chunk) async for chunk in each(streamed(client, model, **options))])


async def stream_with_usage(client):
    chunks = [chunk async for chunk in each(streamed(client, stream_options={"include_usage": True}))]
    return chunks[-1].usage.to_dict()


async def stream_held_up(client):
    """What came before the service fell silent is there, though the rest never comes."""
    azure_answers("stall-mid-body")
    return [told(chunk) for chunk in await first(streamed(client, timeout=20), 4)]


async def stream_cut(client):
    azure_answers("cut")
    return await stream(client)


def told(chunk):
    """What a chunk adds to the text: Azure's first one has no choices, the last one no content."""
    return "".join(choice.delta.content or "" for choice in chunk.choices)


async def completion(client):
    answer = client.completions.create(model="gpt-35-turbo-instruct", prompt="Say hello.")
    return (await settled(answer)).choices[0].text


async def completion_streamed(client):
    chunks = client.completions.create(model="gpt-35-turbo-instruct", prompt="Say hello.", stream=True)
    return "".join([choice.text async for chunk in each(chunks) for choice in chunk.choices])


async def embeddings(client, model="text-embedding-3-small", **options):
    answer = await settled(client.embeddings.create(model=model, input=["one", "zwei ✓"], **options))
    return [entry.embedding for entry in answer.data]


async def transcription(client, file=None, **options):
    file = file or ("recording.wav", SOUND)
    answer = await settled(client.audio.transcriptions.create(model="whisper", file=file, **options))
    return getattr(answer, "text", answer)


async def translation(client):
    file = ("recording.wav", SOUND)
    return (await settled(client.audio.translations.create(model="whisper", file=file))).text


async def speech(client):
    answer = await settled(client.audio.speech.create(model="tts", voice="alloy", input="Grüße"))
    return answer.read().hex()[:64], len(answer.content)


async def images(client):
    answer = client.images.generate(model="dall-e-3", prompt="a cat", n=1, size="1024x1024")
    return [picture.revised_prompt for picture in (await settled(answer)).data]


async def image_edit(client):
    answer = client.images.edit(model="dall-e-3", image=("cat.png", PICTURE), prompt="a hat")
    return len((await settled(answer)).data)


async def models(client):
    return [model.id async for model in each(client.models.list())]


async def model(client):
    return (await settled(client.models.retrieve("gpt-4o"))).id


async def headers(client):
    """Their names: Azure's, and none but one of ours."""
    raw = await settled(client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES))
    return sorted(set(raw.headers) - {"x-keyswap-request-id"})


def named(sound):
    file = io.BytesIO(sound)
    file.name = "recording.wav"
    return file


def in_a_file(sound):
    path = Path("recording.wav")
    path.write_bytes(sound)
    return path


# Every kind of body that the SDKs can send; a pipe fails in the SDK itself.
UPLOADS = {
    "bytes": lambda: ("recording.wav", SOUND),
    "a stream": lambda: named(SOUND),
    "a file": lambda: in_a_file(SOUND),
    "an open file": lambda: in_a_file(SOUND).open("rb"),
    "9 MB": lambda: ("recording.wav", SOUND * 28),
}

# Each of them is one request.
OPERATIONS = {
    "chat": chat,
    "chat of 2 MB": long_chat,
    "stream": stream,
    "stream with usage": stream_with_usage,
    "completion": completion,
    "completion, streamed": completion_streamed,
    "embeddings": embeddings,
    "embeddings as numbers": partial(embeddings, encoding_format="float"),
    "transcription": transcription,
    "transcription as text": partial(transcription, response_format="text"),
    "transcription, verbose": partial(transcription, response_format="verbose_json"),
    "translation": translation,
    "speech": speech,
    "images": images,
    "image edit": image_edit,
    "models": models,
    "one model": model,
}


def inference(way, misplaced=()):
    """Registers all of it for one way to be a client.

    `misplaced` is what AzureOpenAI of this version looks for where Azure has nothing.
    """
    for name, operation in OPERATIONS.items():
        is_there = name not in misplaced or not way.is_azure
        way.case(name, operation, requests=1, refused=None if is_there else "NotFoundError")
    for name, upload in UPLOADS.items():

        async def transcribe(client, upload=upload):
            return await transcription(client, upload())

        way.case(f"upload of {name}", transcribe, requests=1)
    way.case("headers of an answer", headers, requests=1)
    way.case("stream, held up midway: what came so far is there", stream_held_up, requests=1)
    way.case("stream, cut midway", stream_cut, refused=way.broken, requests=1)

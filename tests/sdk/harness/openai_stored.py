"""What openai 1 and newer has Azure keep: files, batches, fine-tuning, vector stores, assistants and threads, responses.

Each story begins with nothing, and tells everything that Azure decides: whole objects, without their ids and times.
"""

import hashlib
import json
import re
from functools import partial

from either import each, first, settled
from recorder import azure_answers

SAID = "Grüße ✓ from a file.\n".encode()
LARGE = bytes((13 * n) % 253 for n in range(253 * 1000)) * 36  # 9 MB
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Grüße"}]}
LINE = {"custom_id": "one", "method": "POST", "url": "/chat/completions", "body": CHAT}
LINES = "\n".join(json.dumps(LINE | {"custom_id": name}) for name in ("one", "two")).encode()
AT_ONCE = {"poll_interval_ms": 20}


AN_ID = re.compile(r"[a-z]+[-_][0-9A-Za-z_-]{16,}")


def shown(value):
    """What Azure decides of an answer: ids are new, and times pass."""
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, list):
        return [shown(inner) for inner in value]
    if isinstance(value, dict):
        return {name: shown(value[name]) for name in sorted(value) if not name.endswith("_at")}
    return "ID" if isinstance(value, str) and AN_ID.fullmatch(value) else value


async def upload(client, content=SAID, purpose="assistants", name="said.txt"):
    return await settled(client.files.create(file=(name, content), purpose=purpose))


async def files(client):
    made = await upload(client, purpose="fine-tune", name="said.jsonl")
    again = await settled(client.files.retrieve(made.id))
    listed = [file.id async for file in each(client.files.list(purpose="fine-tune"))]
    content = await settled(client.files.content(made.id))
    gone = await settled(client.files.delete(made.id))
    assert content.read() == SAID and made.id in listed
    return [shown(made), shown(again), shown(gone)]


async def large_file(client):
    made = await upload(client, LARGE, "batch", "large.jsonl")
    content = await settled(client.files.content(made.id))
    await settled(client.files.delete(made.id))
    assert content.read() == LARGE
    return made.bytes, hashlib.sha256(content.content).hexdigest()


async def missing_file(client):
    await settled(client.files.retrieve("file-00000000000000000000000000000000"))


async def batch(client):
    file = await upload(client, LINES, "batch", "in.jsonl")
    made = await settled(batch_of(client, file.id))
    states = [made]
    while states[-1].status not in ("completed", "failed") and len(states) < 9:
        states.append(await settled(client.batches.retrieve(made.id)))
    output = await settled(client.files.content(states[-1].output_file_id))
    answers = [json.loads(line) for line in output.text.splitlines()]
    texts = [answer["response"]["body"]["choices"][0]["message"]["content"] for answer in answers]
    [newest] = await first(client.batches.list(limit=1), 1)
    assert newest.id == made.id
    return [shown(state) for state in states], texts


def batch_of(client, file="file-0"):
    return client.batches.create(input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h")


async def cancelled_batch(client):
    file = await upload(client, LINES, "batch", "in.jsonl")
    made = await settled(batch_of(client, file.id))
    return shown(await settled(client.batches.cancel(made.id)))


async def fine_tuning(client):
    file = await upload(client, LINES, "fine-tune", "in.jsonl")
    jobs = client.fine_tuning.jobs
    made = await settled(jobs.create(model="gpt-4o", training_file=file.id))
    again = await settled(jobs.retrieve(made.id))
    events = [event.message async for event in each(jobs.list_events(made.id))]
    [newest] = await first(jobs.list(limit=1), 1)
    assert newest.id == made.id
    cancelled = await settled(jobs.cancel(made.id))
    return [shown(made), shown(again), shown(cancelled)], events


def stores(client):
    """Where the SDK has them: in the preview they were among the assistants."""
    return getattr(client, "vector_stores", None) or client.beta.vector_stores


async def vector_store(client):
    file = await upload(client)
    made = await settled(stores(client).create(name="harbour"))
    within = await settled(stores(client).files.create_and_poll(file_id=file.id, vector_store_id=made.id, **AT_ONCE))
    listed = [entry.id async for entry in each(stores(client).files.list(made.id))]
    again = await settled(stores(client).update(made.id, name="quay"))
    found = []
    if hasattr(stores(client), "search"):
        found = [shown(hit) async for hit in each(stores(client).search(made.id, query="Grüße"))]
    gone = await settled(stores(client).delete(made.id))
    assert listed == [file.id]
    return [shown(made), shown(within), shown(again), found, shown(gone)]


async def assistant(client):
    """A talk with an assistant: made, asked, read, forgotten."""
    beta = client.beta
    made = await settled(beta.assistants.create(model="gpt-4o", name="pilot", instructions="be brief"))
    thread = await settled(beta.threads.create())
    said = await settled(beta.threads.messages.create(thread.id, role="user", content="Grüße"))
    asked = {"thread_id": thread.id, "assistant_id": made.id}
    ran = await settled(beta.threads.runs.create_and_poll(**asked, **AT_ONCE))
    steps = [shown(step) async for step in each(beta.threads.runs.steps.list(ran.id, thread_id=thread.id))]
    heard = [shown(message) async for message in each(beta.threads.messages.list(thread.id))]
    changed = await settled(beta.assistants.update(made.id, name="mate"))
    [newest] = await first(beta.assistants.list(limit=1), 1)
    gone = [
        await settled(beta.threads.delete(thread.id)),
        await settled(beta.assistants.delete(made.id)),
    ]
    assert newest.id == made.id
    return [shown(made), shown(said), shown(ran), steps, heard, shown(changed), shown(gone)]


async def assistant_streamed(client):
    beta = client.beta
    made = await settled(beta.assistants.create(model="gpt-4o"))
    thread = await settled(beta.threads.create(messages=[{"role": "user", "content": "Grüße"}]))
    events = beta.threads.runs.create(thread_id=thread.id, assistant_id=made.id, stream=True)
    return [event.event async for event in each(events)]


async def response(client):
    """An answer that is kept, and one that builds upon it."""
    made = await settled(respond(client))
    next_one = await settled(respond(client, input="And?", previous_response_id=made.id))
    again = await settled(client.responses.retrieve(made.id))
    items = [shown(item) async for item in each(client.responses.input_items.list(next_one.id))]
    await settled(client.responses.delete(made.id))
    return [made.output_text, shown(made), shown(next_one), shown(again), items]


def respond(client, input="Grüße", **options):
    return client.responses.create(model="gpt-4o", input=input, **options)


async def response_in_one(client):
    return (await settled(respond(client))).output_text


async def response_streamed(client):
    events = [event async for event in each(respond(client, stream=True))]
    deltas = (event.delta for event in events if event.type == "response.output_text.delta")
    return "".join(deltas), [event.type for event in events]


async def response_held_up(client):
    """What came before the service fell silent is there, though the rest never comes."""
    azure_answers("stall-mid-body")
    return [event.type for event in await first(respond(client, stream=True, timeout=20), 3)]


async def response_cut(client):
    azure_answers("cut")
    await response_streamed(client)


async def response_in_the_background(client):
    made = await settled(respond(client, background=True))
    cancelled = await settled(client.responses.cancel(made.id))
    return made.status, cancelled.status


STORIES = {
    "files": files,
    "a file of 9 MB": large_file,
    "batch": batch,
    "batch, cancelled": cancelled_batch,
    "fine-tuning": fine_tuning,
    "vector store": vector_store,
    "assistant": assistant,
    "assistant, streamed": assistant_streamed,
}
RESPONSES = {
    "response": response,
    "response, streamed": response_streamed,
    "response, in the background": response_in_the_background,
    "response, held up midway: what came so far is there": response_held_up,
}
# Each of them is one request, whoever asks.
OPERATIONS = {
    "file upload": upload,
    "large file upload": partial(upload, content=LARGE),
    "missing file": missing_file,
    "batch": lambda client: settled(batch_of(client)),
    "fine-tuning": lambda client: settled(client.fine_tuning.jobs.create(model="gpt-4o", training_file="file-0")),
    "vector store": lambda client: settled(stores(client).create(name="harbour")),
    "assistant": lambda client: settled(client.beta.assistants.create(model="gpt-4o")),
    "thread": lambda client: settled(client.beta.threads.create()),
    "response": response_in_one,
    "response, streamed": response_streamed,
}


def operations(openai):
    """Those that this version of the SDK has."""
    has_responses = hasattr(openai.OpenAI, "responses")
    return {name: operation for name, operation in OPERATIONS.items() if has_responses or "response" not in name}


def stored(way):
    """Registers all stories for one way to be a client."""
    stories = STORIES
    if hasattr(way.make, "responses"):
        stories = stories | RESPONSES
        way.case("response, cut midway", response_cut, refused=way.broken, requests=1)
    for name, story in stories.items():
        way.case(name, story)
    way.case("missing file", missing_file, refused="NotFoundError", requests=1)

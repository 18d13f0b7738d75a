"""What openai 1 and newer has Azure keep: files, uploads in parts, batches, fine-tuning, vector stores.

Each story begins with nothing, and tells everything that Azure decides: whole objects, without their ids and times.
"""

import hashlib
import json
import re
from functools import partial

from either import each, first, settled

SAID = "Grüße ✓ from a file.\n".encode()
LARGE = bytes((13 * n) % 253 for n in range(253 * 1000)) * 36  # 9 MB
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Grüße"}]}
LINE = {"custom_id": "one", "method": "POST", "url": "/chat/completions", "body": CHAT}
LINES = "\n".join(json.dumps(LINE | {"custom_id": name}) for name in ("one", "two")).encode()
NO_SUCH_FILE = "file-00000000000000000000000000000000"
AT_ONCE = {"poll_interval_ms": 20}
AN_ID = re.compile(r"[a-z]+[-_][0-9A-Za-z_-]{16,}")


def shown(value):
    """What Azure decides of an answer: ids are new, and times pass."""
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, list):
        return [shown(inner) for inner in value]
    if isinstance(value, dict):
        new = ("_at", "created", "azure_block_id")
        return {name: shown(value[name]) for name in sorted(value) if not name.endswith(new)}
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
    await settled(client.files.retrieve(NO_SUCH_FILE))


async def in_parts(client):
    """A file that comes in two parts, and one that does not come after all."""
    asked = {"bytes": 2 * len(SAID), "filename": "said.jsonl", "mime_type": "text/jsonl", "purpose": "fine-tune"}
    made = await settled(client.uploads.create(**asked))
    parts = [await settled(client.uploads.parts.create(made.id, data=SAID)) for _ in range(2)]
    whole = await settled(client.uploads.complete(made.id, part_ids=[part.id for part in parts]))
    content = await settled(client.files.content(whole.file.id))
    assert content.read() == 2 * SAID
    given_up = await settled(client.uploads.cancel((await settled(client.uploads.create(**asked))).id))
    return [shown(made), shown(parts), shown(whole), shown(given_up)]


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
    checkpoints = [shown(checkpoint) async for checkpoint in each(jobs.checkpoints.list(made.id))]
    [newest] = await first(jobs.list(limit=1), 1)
    assert newest.id == made.id
    cancelled = await settled(jobs.cancel(made.id))
    return [shown(made), shown(again), shown(cancelled)], events, checkpoints


def stores(client):
    """Where the SDK has them: in the preview they were among the assistants."""
    return getattr(client, "vector_stores", None) or client.beta.vector_stores


async def vector_store(client):
    file = await upload(client)
    made = await settled(stores(client).create(name="harbour"))
    within = await settled(stores(client).files.create_and_poll(file_id=file.id, vector_store_id=made.id, **AT_ONCE))
    listed = [entry.id async for entry in each(stores(client).files.list(made.id))]
    again = await settled(stores(client).update(made.id, name="quay"))
    seen = await settled(stores(client).retrieve(made.id))
    [newest] = await first(stores(client).list(limit=1), 1)
    found = []
    if hasattr(stores(client), "search"):
        found.append([shown(hit) async for hit in each(stores(client).search(made.id, query="Grüße"))])
        content = stores(client).files.content(file.id, vector_store_id=made.id)
        found.append([shown(part) async for part in each(content)])
    out = await settled(stores(client).files.delete(file.id, vector_store_id=made.id))
    gone = await settled(stores(client).delete(made.id))
    assert listed == [file.id] and newest.id == made.id
    return [shown(made), shown(within), shown(again), shown(seen), found, shown(out), shown(gone)]


async def batch_of_files(client):
    """Several files for a vector store at once."""
    files = [(await upload(client)).id for _ in range(2)]
    store = await settled(stores(client).create())
    batches = stores(client).file_batches
    done = await settled(batches.create_and_poll(store.id, file_ids=files, **AT_ONCE))
    listed = [file.id async for file in each(batches.list_files(done.id, vector_store_id=store.id))]
    assert sorted(listed) == sorted(files)
    return shown(done)


STORIES = {
    "files": files,
    "a file of 9 MB": large_file,
    "a file in parts": in_parts,
    "batch": batch,
    "batch, cancelled": cancelled_batch,
    "fine-tuning": fine_tuning,
    "vector store": vector_store,
    "vector store, several files at once": batch_of_files,
}
# Each of them is one request, whoever asks.
OPERATIONS = {
    "file upload": upload,
    "large file upload": partial(upload, content=LARGE),
    "missing file": missing_file,
    "batch": lambda client: settled(batch_of(client)),
    "fine-tuning": lambda client: settled(client.fine_tuning.jobs.create(model="gpt-4o", training_file="file-0")),
    "vector store": lambda client: settled(stores(client).create(name="harbour")),
}


def stored(way):
    """Registers all stories for one way to be a client."""
    for name, story in STORIES.items():
        way.case(name, story)
    way.case("missing file", missing_file, refused="NotFoundError", requests=1)

"""What openai 1 and newer has Azure remember of what is said: assistants and their threads, responses and
conversations, chats that are kept. Stories, as in `openai_stored.py`.
"""

import json

from either import each, first, settled
from openai_stored import AT_ONCE, shown
from recorder import azure_answers

FUNCTION = {"name": "tide", "description": "how high the water is", "parameters": {"type": "object", "properties": {}}}
FUNCTIONS = [{"type": "function", "function": FUNCTION}]


async def assistant(client):
    """A talk with an assistant: made, asked, read, forgotten."""
    beta = client.beta
    made = await settled(beta.assistants.create(model="gpt-4o", name="pilot", instructions="be brief"))
    thread = await settled(beta.threads.create())
    said = await settled(beta.threads.messages.create(thread.id, role="user", content="Grüße"))
    asked = {"thread_id": thread.id, "assistant_id": made.id}
    ran = await settled(beta.threads.runs.create_and_poll(**asked, **AT_ONCE))
    steps = [step async for step in each(beta.threads.runs.steps.list(ran.id, thread_id=thread.id))]
    step = await settled(beta.threads.runs.steps.retrieve(steps[0].id, thread_id=thread.id, run_id=ran.id))
    heard = [shown(message) async for message in each(beta.threads.messages.list(thread.id))]
    runs = [run.id async for run in each(beta.threads.runs.list(thread.id))]
    changed = [
        await settled(beta.assistants.update(made.id, name="mate")),
        await settled(beta.threads.update(thread.id, metadata={"port": "Zürich"})),
        await settled(beta.threads.messages.update(said.id, thread_id=thread.id, metadata={"port": "Zürich"})),
        await settled(beta.threads.runs.update(ran.id, thread_id=thread.id, metadata={"port": "Zürich"})),
    ]
    again = [
        await settled(beta.assistants.retrieve(made.id)),
        await settled(beta.threads.retrieve(thread.id)),
        await settled(beta.threads.messages.retrieve(said.id, thread_id=thread.id)),
    ]
    [newest] = await first(beta.assistants.list(limit=1), 1)
    gone = [
        await settled(beta.threads.messages.delete(said.id, thread_id=thread.id)),
        await settled(beta.threads.delete(thread.id)),
        await settled(beta.assistants.delete(made.id)),
    ]
    assert newest.id == made.id and runs == [ran.id]
    return [shown(made), shown(said), shown(ran), shown(step), heard, shown(changed), shown(again), shown(gone)]


async def assistant_with_a_function(client):
    """It waits for what the function says; and one that nobody waits for any more."""
    beta = client.beta
    made = await settled(beta.assistants.create(model="gpt-4o", tools=FUNCTIONS))
    asked = {"assistant_id": made.id, "thread": {"messages": [{"role": "user", "content": "How high is the water?"}]}}
    waiting = await settled(beta.threads.create_and_run_poll(**asked, **AT_ONCE))
    calls = waiting.required_action.submit_tool_outputs.tool_calls
    outputs = [{"tool_call_id": call.id, "output": json.dumps({"metres": 2})} for call in calls]
    told = {"thread_id": waiting.thread_id, "tool_outputs": outputs}
    done = await settled(beta.threads.runs.submit_tool_outputs_and_poll(run_id=waiting.id, **told, **AT_ONCE))
    left = await settled(beta.threads.create_and_run(**asked))
    cancelled = await settled(beta.threads.runs.cancel(left.id, thread_id=left.thread_id))
    return [shown(waiting), shown(done), shown(cancelled)]


async def assistant_streamed(client):
    beta = client.beta
    made = await settled(beta.assistants.create(model="gpt-4o"))
    thread = await settled(beta.threads.create(messages=[{"role": "user", "content": "Grüße"}]))
    events = beta.threads.runs.create(thread_id=thread.id, assistant_id=made.id, stream=True)
    return [event.event async for event in each(events)]


async def kept_chat(client):
    """A chat that is kept, with what was asked."""
    chats = client.chat.completions
    messages = [{"role": "user", "content": "Grüße"}]
    made = await settled(chats.create(model="gpt-4o", messages=messages, store=True, metadata={"port": "Zürich"}))
    again = await settled(chats.retrieve(made.id))
    asked = [message.content async for message in each(chats.messages.list(made.id))]
    changed = await settled(chats.update(made.id, metadata={"port": "Horgen"}))
    [newest] = await first(chats.list(limit=1), 1)
    gone = await settled(chats.delete(made.id))
    return [shown(made), shown(again), asked, shown(changed), shown(newest), shown(gone)]


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


async def conversation(client):
    """Items that responses build upon, and add to."""
    talks = client.conversations
    item = {"type": "message", "role": "user", "content": "Grüße"}
    made = await settled(talks.create(items=[item], metadata={"port": "Zürich"}))
    answered = await settled(respond(client, input="And?", conversation=made.id))
    added = await settled(talks.items.create(made.id, items=[item]))
    items = [entry async for entry in each(talks.items.list(made.id))]
    one = await settled(talks.items.retrieve(items[0].id, conversation_id=made.id))
    await settled(talks.items.delete(items[0].id, conversation_id=made.id))
    changed = await settled(talks.update(made.id, metadata={"port": "Horgen"}))
    again = await settled(talks.retrieve(made.id))
    gone = await settled(talks.delete(made.id))
    told = [made, answered, added, items, one, changed, again, gone]
    return [shown(thing) for thing in told]


ASSISTANTS = {
    "assistant": assistant,
    "assistant with a function": assistant_with_a_function,
    "assistant, streamed": assistant_streamed,
}
RESPONSES = {
    "response": response,
    "response, streamed": response_streamed,
    "response, in the background": response_in_the_background,
    "response, held up midway: what came so far is there": response_held_up,
}
# What the surface of before has not got.
OF_V1 = {
    "conversation": conversation,
    "a chat that is kept": kept_chat,
}
# Each of them is one request, whoever asks.
OF_ASSISTANTS = {
    "assistant": lambda client: settled(client.beta.assistants.create(model="gpt-4o")),
    "thread": lambda client: settled(client.beta.threads.create()),
}
OF_RESPONSES = {
    "response": response_in_one,
    "response, streamed": response_streamed,
}


def operations(way):
    """Those that this version of the SDK has."""
    return OF_ASSISTANTS | (OF_RESPONSES if has_responses(way) else {})


def has_responses(way):
    return hasattr(way.make, "responses")


def talks(way):
    """Registers all stories for one way to be a client."""
    for name, story in ASSISTANTS.items():
        way.case(name, story)
    if has_responses(way):
        for name, story in (RESPONSES if way.is_azure else RESPONSES | OF_V1).items():
            way.case(name, story)
        way.case("response, cut midway", response_cut, refused=way.broken, requests=1)

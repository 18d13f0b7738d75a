"""What every Python suite does over realtime. The suites differ in how they connect.

The asynchronous client alone: the other one lets two threads read and write one TLS connection, which Python 3.11 does not
guard, and now and then its request never leaves, whatever server it is for (seen with websockets 15.0.1: 2 of 600).
"""

from functools import partial

from recorder import NEARLY_THE_KEY, WRONG_KEY, azure_answers, case, door, request_sent

case = partial(case, realtime=True)

MODEL = "gpt-4o-realtime-preview"
ANSWER = f"You said “Grüße” to {MODEL}. ✓ Zürich"
ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Grüße"}]}
KEYS = {
    "wrong key": WRONG_KEY,
    "nearly the key": NEARLY_THE_KEY,
    "the search service's key": door.search_admin_key,
}


def over_realtime(name, connect):
    """Registers the cases of one way to connect: the SDK's own manager, given a key and a deployment."""

    def opened(key=door.openai_key, model=MODEL):
        request_sent()
        return connect(key, model)

    @case(f"{name}: a talk", requests=1)
    async def a_talk():
        heard, said, mistake = [], "", None
        async with opened() as connection:
            async for event in connection:
                heard.append(event.type)
                for message in answers(event):
                    await connection.send(message)
                if event.type.endswith("text.delta"):
                    said += event.delta
                if event.type == "error":
                    mistake = event.error.code
                    break
            await connection.close(code=4000, reason="enough")
        assert said == ANSWER, said
        return {"said": said, "mistake": mistake, "heard": heard}

    @case(f"{name}: ended by the service", refused="ConnectionClosedError", requests=1)
    async def ended():
        azure_answers("close-frame", code=4321)
        await two_events(opened())

    @case(f"{name}: broken off by the service", refused="ConnectionClosedError", requests=1)
    async def broken_off():
        azure_answers("truncate")
        await two_events(opened())

    for key_name, key in KEYS.items():

        @case(f"{name}: {key_name}", refused="InvalidStatus", requests=1, forwarded=False)
        async def refused_key(key=key):
            await two_events(opened(key))

    @case(f"{name}: unknown deployment", refused="InvalidStatus", requests=1)
    async def unknown():
        await two_events(opened(model="no-such-deployment"))

    @case(f"{name}: rate limit", refused="InvalidStatus", requests=1)
    async def rate_limit():
        azure_answers("A1.12")
        await two_events(opened())


async def two_events(manager):
    """What the service says by itself is one event: the second never comes."""
    async with manager as connection:
        await connection.recv()
        await connection.recv()


def answers(event):
    """What the client says to an event: it changes the session, asks something, and makes a mistake."""
    if event.type == "session.created":
        return [{"type": "session.update", "session": {"instructions": "be brief"}}]
    if event.type == "session.updated":
        return [{"type": "conversation.item.create", "item": ITEM}, {"type": "response.create"}]
    if event.type == "response.done":
        return [{"type": "nonsense"}]
    return []


def describe_realtime(error):
    """What an application can see of these exceptions."""
    response, close = getattr(error, "response", None), getattr(error, "rcvd", None)
    return {
        "status": getattr(response, "status_code", None),
        "body": response.body.decode() if response else None,
        "close": [close.code, close.reason] if close else None,
    }

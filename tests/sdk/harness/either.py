"""What is done with synchronous and asynchronous clients alike: waiting where there is something to wait for."""

import inspect


async def settled(value):
    """What an operation gives, of either kind of client."""
    return await value if inspect.isawaitable(value) else value


async def each(sequence):
    """The elements of a stream or of a list of several pages, of either kind of client."""
    sequence = sequence if hasattr(sequence, "__aiter__") else await settled(sequence)
    if hasattr(sequence, "__aiter__"):
        async for element in sequence:
            yield element
    else:
        for element in sequence:
            yield element


async def first(sequence, count):
    """So many elements, without asking for one more; what is left of a stream is given up."""
    sequence = sequence if hasattr(sequence, "__aiter__") else await settled(sequence)
    found = []
    async for element in each(sequence):
        found.append(element)
        if len(found) == count:
            break
    for end in ("close", "aclose"):
        if hasattr(sequence, end):
            await settled(getattr(sequence, end)())
            break
    assert len(found) == count, f"there were only {len(found)}"
    return found

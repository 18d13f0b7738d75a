// Assistants, threads and runs.

import { first, gone, shown, within } from './openai-clients.mjs';
import { MODEL } from './openai-inference.mjs';

const SAID = { role: 'user', content: 'Grüße' };

async function assistants({ beta: { assistants } }) {
  const made = await assistants.create({ model: MODEL, name: 'pilot', instructions: 'be brief' });
  const again = await assistants.retrieve(made.id);
  const changed = await assistants.update(made.id, { name: 'mate' });
  const [newest] = await first(assistants.list({ limit: 1 }), 1);
  return [shown([made, again, changed, await gone(assistants, made.id)]), newest.id === made.id];
}

/** A talk with an assistant, in a thread: both are gone afterwards. */
async function talk(client, inThread) {
  const { assistants, threads } = client.beta;
  const assistant = await assistants.create({ model: MODEL });
  const thread = await threads.create({ messages: [SAID] });
  const outcome = await inThread(threads, thread.id, assistant.id);
  return [shown(outcome), shown([await gone(threads, thread.id), await gone(assistants, assistant.id)])];
}

const threads = (client) =>
  talk(client, async (threads, thread_id) => {
    const added = await threads.messages.create(thread_id, { role: 'user', content: 'And Zürich?' });
    const same = await threads.messages.retrieve(...within({ thread_id }, added.id));
    const changed = await threads.update(thread_id, { metadata: { of: 'tests' } });
    const messages = await first(threads.messages.list(thread_id, { order: 'asc' }), 2);
    return [added, same, changed, await threads.retrieve(thread_id), messages];
  });

const runs = (client) =>
  talk(client, async (threads, thread_id, assistant_id) => {
    const ran = await threads.runs.createAndPoll(thread_id, { assistant_id }, { pollIntervalMs: 20 });
    const steps = await first(threads.runs.steps.list(...within({ thread_id }, ran.id)), 1);
    const messages = await first(threads.messages.list(thread_id, { order: 'asc' }), 2);
    const again = await threads.runs.retrieve(...within({ thread_id }, ran.id));
    return [ran, again, steps, messages];
  });

const streamed = (client) =>
  talk(client, async (threads, thread_id, assistant_id) => {
    const events = [];
    for await (const { event } of await threads.runs.create(thread_id, { assistant_id, stream: true })) {
      events.push(event);
    }
    return events;
  });

/** Each costs many requests; a refused one ends at its first. */
export const assisted = { assistants, threads, runs, 'runs, streamed': streamed };

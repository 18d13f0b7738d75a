// Assistants, threads and runs, as long as the openai package has them.

import { remove, within } from './openai-clients.mjs';
import { MODEL } from './openai-inference.mjs';

const texts = ({ role, content }) => ({ role, texts: content.map(({ text }) => text?.value) });
const inOrder = { order: 'asc' };

async function assistants({ beta: { assistants } }) {
  const made = await assistants.create({ model: MODEL, name: 'harbour master', instructions: 'be brief' });
  const { object, model, name, instructions } = await assistants.retrieve(made.id);
  const changed = await assistants.update(made.id, { name: 'pilot' });
  const listed = (await assistants.list({ limit: 100 })).data.some(({ id }) => id === made.id);
  const { deleted } = await remove(assistants, made.id);
  return { object, model, name, instructions, changed: changed.name, listed, deleted };
}

/** A thread with something said in it, and an assistant: both are gone afterwards. */
async function inThread(client, talk) {
  const { assistants, threads } = client.beta;
  const assistant = await assistants.create({ model: MODEL });
  const thread = await threads.create({ messages: [{ role: 'user', content: 'Grüße' }] });
  const outcome = await talk(threads, thread.id, assistant.id);
  await remove(threads, thread.id);
  await remove(assistants, assistant.id);
  return outcome;
}

const threads = (client) =>
  inThread(client, async (threads, thread_id) => {
    const added = await threads.messages.create(thread_id, { role: 'user', content: 'Zürich?' });
    const same = await threads.messages.retrieve(...within({ thread_id }, added.id));
    const { metadata } = await threads.update(thread_id, { metadata: { of: 'tests' } });
    const { data } = await threads.messages.list(thread_id, inOrder);
    return { same: texts(same), metadata, said: data.map(texts), object: (await threads.retrieve(thread_id)).object };
  });

const runs = (client) =>
  inThread(client, async (threads, thread_id, assistant_id) => {
    const { id, status, model } = await threads.runs.createAndPoll(thread_id, { assistant_id }, { pollIntervalMs: 20 });
    const again = await threads.runs.retrieve(...within({ thread_id }, id));
    const steps = (await threads.runs.steps.list(...within({ thread_id }, id))).data.map(({ type }) => type);
    const { data } = await threads.messages.list(thread_id, inOrder);
    return { status, model, again: again.status, steps, said: data.map(texts) };
  });

const streamed = (client) =>
  inThread(client, async (threads, thread_id, assistant_id) => {
    const events = [];
    for await (const { event } of await threads.runs.create(thread_id, { assistant_id, stream: true })) {
      if (events.at(-1) !== event) events.push(event);
    }
    return events;
  });

/** Each costs many requests; a refused one ends at its first. */
export const assisted = { assistants, threads, runs, 'runs, streamed': streamed };

// Assistants, threads and runs.

import { first, gone, shown, within } from './openai-clients.mjs';
import { MODEL } from './openai-inference.mjs';

const SAID = { role: 'user', content: 'Grüße' };
const WEATHER = {
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: { place: { type: 'string' } } } },
};
const AT_ONCE = { pollIntervalMs: 20 };

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
    const marked = await threads.messages.update(...within({ thread_id }, added.id, { metadata: { of: 'tests' } }));
    const changed = await threads.update(thread_id, { metadata: { of: 'tests' } });
    const messages = await first(threads.messages.list(thread_id, { order: 'asc' }), 2);
    const taken = await gone(threads.messages, ...within({ thread_id }, added.id));
    return [added, same, marked, changed, await threads.retrieve(thread_id), messages, taken];
  });

const runs = (client) =>
  talk(client, async (threads, thread_id, assistant_id) => {
    const ran = await threads.runs.createAndPoll(thread_id, { assistant_id }, AT_ONCE);
    const [step] = await first(threads.runs.steps.list(...within({ thread_id }, ran.id)), 1);
    const same = await threads.runs.steps.retrieve(...within({ thread_id, run_id: ran.id }, step.id));
    const messages = await first(threads.messages.list(thread_id, { order: 'asc' }), 2);
    const marked = await threads.runs.update(...within({ thread_id }, ran.id, { metadata: { of: 'tests' } }));
    const again = await threads.runs.retrieve(...within({ thread_id }, ran.id));
    const [newest] = await first(threads.runs.list(thread_id), 1);
    return [ran, step, same, messages, marked, again, newest];
  });

/** A run waits for what a function says, is told, and goes on; another is not told, and called off. */
const withFunctions = (client) =>
  talk(client, async (threads, thread_id, assistant_id) => {
    const asked = { assistant_id, tools: [WEATHER] };
    const waiting = await threads.runs.createAndPoll(thread_id, asked, AT_ONCE);
    const [call] = waiting.required_action.submit_tool_outputs.tool_calls;
    const tool_outputs = [{ tool_call_id: call.id, output: 'fine' }];
    const told = within({ thread_id }, waiting.id, { tool_outputs });
    const done = await threads.runs.submitToolOutputsAndPoll(...told, AT_ONCE);
    const messages = await first(threads.messages.list(thread_id, { order: 'asc' }), 2);
    const other = await threads.runs.createAndPoll(thread_id, asked, AT_ONCE);
    const cancelled = await threads.runs.cancel(...within({ thread_id }, other.id));
    return [waiting, done, messages, cancelled];
  });

/** Thread and run at once. */
async function atOnce(client) {
  const { assistants, threads } = client.beta;
  const { id: assistant_id } = await assistants.create({ model: MODEL });
  const ran = await threads.createAndRunPoll({ assistant_id, thread: { messages: [SAID] } }, AT_ONCE);
  return shown([ran, await gone(assistants, assistant_id)]);
}

const streamed = (client) =>
  talk(client, async (threads, thread_id, assistant_id) => {
    const events = [];
    for await (const { event } of await threads.runs.create(thread_id, { assistant_id, stream: true })) {
      events.push(event);
    }
    return events;
  });

/** Each costs many requests; a refused one ends at its first. */
export const assisted = {
  assistants,
  threads,
  runs,
  'runs with functions': withFunctions,
  'runs, streamed': streamed,
  'thread and run at once': atOnce,
};

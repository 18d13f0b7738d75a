// What the openai package keeps at Azure: each story begins with nothing, and tells everything that Azure decides.

import { toFile } from 'openai';
import { first, gone, shown, within } from './openai-clients.mjs';
import { MODEL, sha256 } from './openai-inference.mjs';

const LINE = {
  custom_id: 'one',
  method: 'POST',
  url: '/chat/completions',
  body: { model: MODEL, messages: [{ role: 'user', content: 'Grüße' }] },
};
const TEXT = 'Grüße ✓ from a file.\n';
const LARGE = Buffer.alloc(9_000_000, 'Grüße from a large file. ');

const put = async (client, purpose, content = TEXT, name = 'notes.txt') =>
  client.files.create({ file: await toFile(Buffer.from(content), name), purpose });
const putLine = (client, purpose) => put(client, purpose, JSON.stringify(LINE) + '\n', 'lines.jsonl');
const contentOf = async (client, { id }) => Buffer.from(await (await client.files.content(id)).arrayBuffer());

async function files(client) {
  const made = await put(client, 'fine-tune');
  const again = await client.files.retrieve(made.id);
  const content = await contentOf(client, made);
  return shown([made, again, content.toString(), await gone(client.files, made.id)]);
}

async function largeFile(client) {
  const made = await put(client, 'batch', LARGE, 'large.jsonl');
  const content = await contentOf(client, made);
  await gone(client.files, made.id);
  return [made.bytes, sha256(content)];
}

async function filesInPages(client) {
  const made = [];
  for (const name of ['one.txt', 'two.txt', 'three.txt']) made.push(await put(client, 'assistants', TEXT, name));
  // the SDK turns the pages by itself
  const listed = await first(client.files.list({ limit: 2, order: 'desc' }), 3);
  for (const { id } of made) await gone(client.files, id);
  return shown(listed);
}

async function batches(client) {
  const file = await putLine(client, 'batch');
  const made = await batchOf(client, file.id);
  const states = [made];
  while (!['completed', 'failed'].includes(states.at(-1).status) && states.length < 9) {
    states.push(await client.batches.retrieve(made.id));
  }
  const output = await contentOf(client, { id: states.at(-1).output_file_id });
  const { response } = JSON.parse(output);
  const [newest] = await first(client.batches.list({ limit: 1 }), 1);
  return [shown(states), response.body.choices[0].message.content, newest.id === made.id];
}

const batchOf = (client, input_file_id) =>
  client.batches.create({ input_file_id, endpoint: '/v1/chat/completions', completion_window: '24h' });

async function cancelledBatch(client) {
  const file = await putLine(client, 'batch');
  const made = await batchOf(client, file.id);
  return shown(await client.batches.cancel(made.id));
}

async function fineTuning(client) {
  const file = await putLine(client, 'fine-tune');
  const { jobs } = client.fineTuning;
  const made = await jobs.create({ model: MODEL, training_file: file.id, suffix: 'harbour' });
  const again = await jobs.retrieve(made.id);
  const events = [];
  for await (const { message } of jobs.listEvents(made.id)) events.push(message);
  const [newest] = await first(jobs.list({ limit: 1 }), 1);
  return [shown([made, again, await jobs.cancel(made.id)]), events, newest.id === made.id];
}

async function vectorStores(client) {
  const file = await put(client, 'assistants');
  const stores = client.vectorStores;
  const made = await stores.create({ name: 'harbours' });
  const parents = { vector_store_id: made.id };
  const added = await stores.files.createAndPoll(made.id, { file_id: file.id }, { pollIntervalMs: 20 });
  const [held] = await first(stores.files.list(made.id), 1);
  const one = await stores.files.retrieve(...within(parents, held.id));
  const [found] = await first(stores.search(made.id, { query: 'Grüße' }), 1);
  const changed = await stores.update(made.id, { name: 'ports' });
  const [newest] = await first(stores.list({ limit: 1 }), 1);
  const taken = await gone(stores.files, ...within(parents, held.id));
  const all = shown([made, added, one, found, changed, taken, await gone(stores, made.id)]);
  return [all, held.id === file.id, newest.id === made.id];
}

const respond = (client, body = {}, options = {}) =>
  client.responses.create({ model: MODEL, input: 'Say hello.', ...body }, options);

async function responses(client) {
  const made = await respond(client, { instructions: 'be brief' });
  const next = await respond(client, { input: 'And again.', previous_response_id: made.id });
  const again = await client.responses.retrieve(made.id);
  const items = await first(client.responses.inputItems.list(next.id), 1);
  await gone(client.responses, made.id);
  return shown([made, next, again, items]);
}

async function inTheBackground(client) {
  const made = await respond(client, { background: true });
  const cancelled = await client.responses.cancel(made.id);
  // version 4 throws the answer away
  return [made.status, cancelled?.status ?? null];
}

async function inAShape(client) {
  const properties = { text: { type: 'string' } };
  const schema = { type: 'object', properties, required: ['text'], additionalProperties: false };
  const format = { type: 'json_schema', name: 'greeting', strict: true, schema };
  return (await respond(client, { text: { format } })).output_text;
}

/** A stream of a response, and what it tells: at most so many texts. */
export const streamedResponse = (client) => respond(client, { stream: true });
export async function told(stream, most = Infinity) {
  const events = [];
  const texts = [];
  for await (const { type, delta } of await stream) {
    events.push(type);
    if (type === 'response.output_text.delta') texts.push(delta);
    if (texts.length === most) break;
  }
  return { events, texts };
}

/** Each costs many requests; a refused one ends at its first. */
export const stored = {
  files,
  'a file of 9 MB': largeFile,
  'files in pages': filesInPages,
  batches,
  'batch, cancelled': cancelledBatch,
  'fine-tuning': fineTuning,
  'vector stores': vectorStores,
  responses,
  'responses in the background': inTheBackground,
};

/** Each costs one. */
export const responded = {
  'responses in a shape': inAShape,
  'responses, streamed': (client) => told(streamedResponse(client)),
};

const NO_SUCH = 'no-such-thing';

/** What is not there. */
export const missing = {
  file: (client) => client.files.retrieve(NO_SUCH),
  'content of a file': (client) => client.files.content(NO_SUCH),
  batch: (client) => client.batches.retrieve(NO_SUCH),
  'fine-tuning job': (client) => client.fineTuning.jobs.retrieve(NO_SUCH),
  'vector store': (client) => client.vectorStores.retrieve(NO_SUCH),
  response: (client) => client.responses.retrieve(NO_SUCH),
};

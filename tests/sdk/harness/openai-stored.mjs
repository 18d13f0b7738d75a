// What the openai package keeps at Azure, each from its creation to its deletion. Ids and times are new in every run:
// what is given here has none.

import { toFile } from 'openai';
import { remove, within } from './openai-clients.mjs';
import { MODEL, sha256 } from './openai-inference.mjs';

const LINE = {
  custom_id: 'one',
  method: 'POST',
  url: '/chat/completions',
  body: { model: MODEL, messages: [{ role: 'user', content: 'Say hello.' }] },
};
const TRAINING = { messages: [{ role: 'user', content: 'Grüße' }, { role: 'assistant', content: 'Zürich' }] };
const jsonl = (line) => toFile(Buffer.from(JSON.stringify(line) + '\n'), 'lines.jsonl');
const TEXT = 'The harbour opens at six.\n';

const put = async (client, file, purpose) => client.files.create({ file: await file, purpose });
const putText = (client) => put(client, toFile(Buffer.from(TEXT), 'notes.txt'), 'assistants');

/** All of a list, whose pages the SDK turns by itself. */
async function all(pages) {
  const found = [];
  for await (const item of pages) found.push(item);
  return found;
}
const among = async (pages, { id }) => (await all(pages)).some((item) => item.id === id);

async function files(client) {
  const file = await put(client, jsonl(LINE), 'batch');
  const { filename, purpose, bytes, object } = await client.files.retrieve(file.id);
  const listed = await among(client.files.list(), file);
  const content = await (await client.files.content(file.id)).text();
  const { deleted } = await remove(client.files, file.id);
  return { filename, purpose, bytes, object, listed, content: sha256(content), deleted };
}

async function manyFiles(client) {
  const put = async (n) => (await client.files.create({ file: await toFile(Buffer.from('x'), `${n}.txt`), purpose: 'assistants' })).id;
  const ids = [await put(1), await put(2), await put(3)];
  const listed = await all(client.files.list({ limit: 2, order: 'desc' }));
  for (const id of ids) await remove(client.files, id);
  return ids.every((id) => listed.some((file) => file.id === id));
}

async function batches(client) {
  const file = await put(client, jsonl(LINE), 'batch');
  const batch = await client.batches.create({
    input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h', metadata: { of: 'tests' },
  });
  const { endpoint, metadata, completion_window } = await client.batches.retrieve(batch.id);
  const listed = await among(client.batches.list({ limit: 2 }), batch);
  const cancelled = await client.batches.cancel(batch.id);
  return { endpoint, metadata, completion_window, listed, object: cancelled.object };
}

async function fineTuning(client) {
  const file = await put(client, jsonl(TRAINING), 'fine-tune');
  const { jobs } = client.fineTuning;
  const job = await jobs.create({ model: 'gpt-4o-mini', training_file: file.id, suffix: 'harbour' });
  const { object, model, suffix } = await jobs.retrieve(job.id);
  const listed = await among(jobs.list({ limit: 2 }), job);
  const events = (await all(jobs.listEvents(job.id))).map(({ object, level }) => ({ object, level }));
  const checkpoints = (await all(jobs.checkpoints.list(job.id))).length;
  const { status } = await jobs.cancel(job.id);
  return { object, model, suffix, listed, events, checkpoints, status };
}

async function vectorStores(client) {
  const file = await putText(client);
  const stores = client.vectorStores;
  const store = await stores.create({ name: 'harbours', file_ids: [] });
  const added = await stores.files.create(store.id, { file_id: file.id });
  const held = (await all(stores.files.list(store.id))).length;
  const one = await stores.files.retrieve(...within({ vector_store_id: store.id }, file.id));
  const batch = await stores.fileBatches.create(store.id, { file_ids: [file.id] });
  const same = await stores.fileBatches.retrieve(...within({ vector_store_id: store.id }, batch.id));
  const found = (await all(stores.search(store.id, { query: 'harbour' }))).map(({ filename }) => filename);
  const { name } = await stores.update(store.id, { name: 'ports' });
  const listed = await among(stores.list({ limit: 2 }), store);
  const taken = await remove(stores.files, ...within({ vector_store_id: store.id }, file.id));
  const { deleted } = await remove(stores, store.id);
  await remove(client.files, file.id);
  return {
    added: added.object, held, one: one.object, batch: same.object, found, name, listed, taken: taken.deleted, deleted,
  };
}

async function responses(client) {
  const first = await client.responses.create({ model: MODEL, input: 'Say hello.', instructions: 'be brief' });
  const { status, output_text, usage } = await client.responses.retrieve(first.id);
  const said = (await all(client.responses.inputItems.list(first.id))).map(({ role, content }) => ({ role, content }));
  const second = await client.responses.create({ model: MODEL, input: 'And again.', previous_response_id: first.id });
  for (const { id } of [first, second]) await remove(client.responses, id);
  return { status, output_text: first.output_text, same: output_text ?? null, usage, said, then: second.output_text };
}

async function parsed(client) {
  const schema = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'], additionalProperties: false };
  const format = { type: 'json_schema', name: 'greeting', strict: true, schema };
  const { output_text } = await client.responses.create({ model: MODEL, input: 'Say hello.', text: { format }, store: false });
  return output_text;
}

export const streamedResponse = (client, options) =>
  client.responses.create({ model: MODEL, input: 'Say hello.', stream: true, store: false }, options);

/** What the events of a stream say, at most so many texts. */
export async function told(stream, most = Infinity) {
  const events = [];
  const texts = [];
  for await (const { type, delta } of await stream) {
    if (events.at(-1) !== type) events.push(type);
    if (type === 'response.output_text.delta') texts.push(delta);
    if (texts.length === most) break;
  }
  return { events, texts };
}

const NO_SUCH = 'no-such-thing';

/** Each costs many requests; a refused one ends at its first. */
export const stored = {
  files,
  'files in pages': manyFiles,
  batches,
  'fine-tuning': fineTuning,
  'vector stores': vectorStores,
  responses,
  'responses in a shape': parsed,
  'responses, streamed': async (client) => told(streamedResponse(client)),
};

/** What is not there. */
export const missing = {
  file: (client) => client.files.retrieve(NO_SUCH),
  'content of a file': (client) => client.files.content(NO_SUCH),
  batch: (client) => client.batches.retrieve(NO_SUCH),
  'fine-tuning job': (client) => client.fineTuning.jobs.retrieve(NO_SUCH),
  'vector store': (client) => client.vectorStores.retrieve(NO_SUCH),
  response: (client) => client.responses.retrieve(NO_SUCH),
};

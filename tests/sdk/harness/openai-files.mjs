// Files of the openai package, and what is made of files: each story begins with nothing, and tells everything that
// Azure decides. A refused one ends at its first request.

import { equal } from 'node:assert/strict';
import { toFile } from 'openai';
import { sha256 } from './bytes.mjs';
import { first, gone, shown, within } from './openai-clients.mjs';
import { MODEL } from './openai-inference.mjs';

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
  equal((await contentOf(client, made)).toString(), TEXT);
  return shown([made, again, await gone(client.files, made.id)]);
}

async function largeFile(client) {
  const made = await put(client, 'batch', LARGE, 'large.jsonl');
  equal(sha256(await contentOf(client, made)), sha256(LARGE));
  await gone(client.files, made.id);
  return made.bytes;
}

async function filesInPages(client) {
  const made = [];
  for (const name of ['one.txt', 'two.txt', 'three.txt']) made.push(await put(client, 'assistants', TEXT, name));
  // the SDK turns the pages by itself
  const listed = await first(client.files.list({ limit: 2, order: 'desc' }), 3);
  for (const { id } of made) await gone(client.files, id);
  return shown(listed);
}

async function fileInParts(client) {
  const whole = Buffer.from(TEXT);
  const of = { bytes: whole.length, filename: 'parts.jsonl', mime_type: 'text/jsonl', purpose: 'batch' };
  const upload = await client.uploads.create(of);
  const part_ids = [];
  // in the midst of a letter
  for (const part of [whole.subarray(0, 3), whole.subarray(3)]) {
    const data = await toFile(part, 'part');
    part_ids.push((await client.uploads.parts.create(upload.id, { data })).id);
  }
  const { status, file } = await client.uploads.complete(upload.id, { part_ids });
  equal((await contentOf(client, file)).toString(), TEXT);
  return [shown(upload), status];
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
  const checkpoints = (await jobs.checkpoints.list(made.id)).data.length;
  const [newest] = await first(jobs.list({ limit: 1 }), 1);
  return [shown([made, again, await jobs.cancel(made.id)]), events, checkpoints, newest.id === made.id];
}

async function vectorStores(client) {
  const file = await put(client, 'assistants');
  const stores = client.vectorStores;
  const made = await stores.create({ name: 'harbours' });
  const of = { vector_store_id: made.id };
  const added = await stores.files.createAndPoll(made.id, { file_id: file.id }, { pollIntervalMs: 20 });
  const [held] = await first(stores.files.list(made.id), 1);
  const one = await stores.files.retrieve(...within(of, held.id));
  const marked = await stores.files.update(...within(of, held.id, { attributes: { of: 'tests' } }));
  const text = await first(stores.files.content(...within(of, held.id)), 1);
  const [found] = await first(stores.search(made.id, { query: 'Grüße' }), 1);
  const again = await stores.retrieve(made.id);
  const changed = await stores.update(made.id, { name: 'ports' });
  const [newest] = await first(stores.list({ limit: 1 }), 1);
  const taken = await gone(stores.files, ...within(of, held.id));
  const all = shown([made, added, one, marked, text, found, again, changed, taken, await gone(stores, made.id)]);
  return [all, held.id === file.id, newest.id === made.id];
}

async function filesTogether(client) {
  const file = await put(client, 'assistants');
  const stores = client.vectorStores;
  const { id } = await stores.create({ name: 'harbours' });
  const of = { vector_store_id: id };
  const batch = await stores.fileBatches.createAndPoll(id, { file_ids: [file.id] }, { pollIntervalMs: 20 });
  const listed = await first(stores.fileBatches.listFiles(...within(of, batch.id)), 1);
  const cancelled = await stores.fileBatches.cancel(...within(of, batch.id));
  await gone(stores, id);
  return shown([batch, listed, cancelled]);
}

export const filed = {
  files,
  'a file of 9 MB': largeFile,
  'files in pages': filesInPages,
  'a file in parts': fileInParts,
  batches,
  'batch, cancelled': cancelledBatch,
  'fine-tuning': fineTuning,
  'vector stores': vectorStores,
  'files together': filesTogether,
};

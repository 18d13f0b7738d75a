// Responses of the openai package, and the talks that are kept at Azure: each story begins with nothing, and tells
// everything that Azure decides. A refused one ends at its first request.

import OpenAI from 'openai';
import { first, gone, shown, within } from './openai-clients.mjs';
import { MODEL, chat } from './openai-inference.mjs';
import { door } from './recorder.mjs';

const respond = (client, body = {}) => client.responses.create({ model: MODEL, input: 'Say hello.', ...body });

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

/** Chats that were asked to be kept. */
async function keptChats(client) {
  const { completions } = client.chat;
  const metadata = { of: door.run };
  const made = await chat(client, { store: true, metadata });
  const again = await completions.retrieve(made.id);
  const said = await first(completions.messages.list(made.id), 1);
  const changed = await completions.update(made.id, { metadata: { ...metadata, by: 'tests' } });
  const listed = await first(completions.list({ metadata }), 1);
  return shown([again, said, changed, listed, await gone(completions, made.id)]);
}

async function conversations(client) {
  const { items } = client.conversations;
  const hello = { type: 'message', role: 'user', content: 'Grüße' };
  const made = await client.conversations.create({ metadata: { of: 'tests' }, items: [hello] });
  const said = await respond(client, { conversation: made.id, input: 'And again.' });
  const added = await items.create(made.id, { items: [hello] });
  const listed = await first(items.list(made.id, { order: 'asc' }), 2);
  const [{ id }] = listed;
  const one = await items.retrieve(...within({ conversation_id: made.id }, id));
  await items.delete(...within({ conversation_id: made.id }, id));
  const changed = await client.conversations.update(made.id, { metadata: { of: 'more tests' } });
  const again = await client.conversations.retrieve(made.id);
  return shown([made, said, added, listed, one, changed, again, await client.conversations.delete(made.id)]);
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

/** Each costs one request. */
export const responded = {
  'responses in a shape': inAShape,
  'responses, streamed': (client) => told(streamedResponse(client)),
};

/** Each costs many. */
export const kept = { responses, 'responses in the background': inTheBackground };

/** What /openai/v1 alone has; conversations came after version 4. */
export const keptOnV1 = {
  'kept chats': keptChats,
  ...(OpenAI.Conversations && { conversations }),
};

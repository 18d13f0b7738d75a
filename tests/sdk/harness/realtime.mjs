// What every JavaScript suite does over realtime. The suites differ in how they connect.

import { BAD_KEYS, azureAnswers, door, requestSent, test } from './recorder.mjs';

const MODEL = 'gpt-4o-realtime-preview';
const ANSWER = `You said “Grüße” to ${MODEL}. ✓ Zürich`;

/** How long a talk may take: one that hangs shows how far it came. */
const LIMIT = 10_000;

/** Registers the cases of one way to connect, which takes a key and a deployment and gives the SDK's own object. */
export function overRealtime(name, connect) {
  const open = async (apiKey = door.openai_key, model = MODEL) => {
    requestSent();
    return connect(apiKey, model);
  };

  const costsOne = { requests: 1, realtime: true };
  const refused = 'OpenAIRealtimeError';
  test(`${name}: a talk`, costsOne, async () => talk(await open()));
  test(`${name}: ended by the service`, costsOne, async () => {
    await azureAnswers('close-frame', { code: 4321 });
    return untilClosed(await open());
  });
  test(`${name}: broken off by the service`, costsOne, async () => {
    await azureAnswers('truncate');
    return untilClosed(await open());
  });

  for (const [keyName, key] of Object.entries(BAD_KEYS)) {
    test(`${name}: ${keyName}`, { ...costsOne, refused, forwarded: false }, async () => untilClosed(await open(key)));
  }
  test(`${name}: unknown deployment`, { ...costsOne, refused }, async () =>
    untilClosed(await open(door.openai_key, 'no-such-deployment')));
  test(`${name}: rate limit`, { ...costsOne, refused }, async () => {
    await azureAnswers('A1.12');
    return untilClosed(await open());
  });
}

/** A session is changed, something is asked and answered, a mistake is made, and the client says goodbye. */
async function talk(realtime) {
  const heard = [];
  let said = '';
  let mistake = null;
  const item = { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Grüße' }] };
  realtime.on('event', (event) => {
    heard.push(event.type);
    switch (event.type) {
      case 'session.created':
        realtime.send({ type: 'session.update', session: { instructions: 'be brief' } });
        break;
      case 'session.updated':
        heard.push(event.session.instructions);
        realtime.send({ type: 'conversation.item.create', item });
        realtime.send({ type: 'response.create' });
        break;
      case 'response.text.delta':
      case 'response.output_text.delta':
        said += event.delta;
        break;
      case 'response.done':
        realtime.send({ type: 'nonsense' });
        break;
    }
  });
  realtime.on('error', ({ error }) => {
    mistake = error?.code;
    realtime.close({ code: 4000, reason: 'enough' });
  });
  const closed = await closing(realtime);
  if (said !== ANSWER) throw new Error(`it said ${said}`);
  return { said, mistake, heard, closed };
}

/** Says nothing; what the SDK calls an error is one. */
async function untilClosed(realtime) {
  const heard = [];
  realtime.on('event', (event) => heard.push(event.type));
  const failing = new Promise((_, fail) => {
    realtime.on('error', fail);
  });
  const closed = await Promise.race([closing(realtime), failing]);
  return { heard, closed };
}

/** How the socket was closed: both transports tell, each in its own way. */
function closing({ socket }) {
  return new Promise((done, fail) => {
    setTimeout(() => fail(new Error('it was not closed')), LIMIT).unref();
    socket.addEventListener('close', ({ code, reason }) => done({ code, reason }));
  });
}

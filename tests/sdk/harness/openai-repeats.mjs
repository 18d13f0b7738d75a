// What the openai package repeats, how often, and after which wait.

import { answer, chat } from './openai-inference.mjs';
import { AT_KEYSWAP, azureAnswers, door, test, waited } from './recorder.mjs';

const TOLD = {
  refused: AT_KEYSWAP ? 'InternalServerError' : 'APIConnectionError',
  differs: 'a gateway can say what became of Azure',
};
const CURED = 'what is lost on a kept connection keyswap itself repeats, once and on a new one';

export function repeats(surface, connect) {
  const ask = async (options) => answer(await chat(connect(options)));

  test(`${surface}: rate limit, then an answer`, { requests: 2 }, async () => {
    await azureAnswers('A1.12', { retry_after: 30, retry_after_ms: 700 });
    return { said: await ask(), obeyed: waited(700) };
  });
  test(`${surface}: rate limit that does not end`, { refused: 'RateLimitError', requests: 3 }, async () => {
    await azureAnswers('A1.12', { retry_after: 30, retry_after_ms: 1, times: 9 });
    await ask();
  });
  test(`${surface}: unavailable, then an answer`, { requests: 2 }, async () => {
    await azureAnswers('503');
    return ask();
  });

  if (door.nobody) {
    test(`${surface}: nobody listens`, { requests: 3, alive: false, row: 'F-oai-dead', ...TOLD }, () =>
      ask({ apiKey: door.stranded_key, endpoint: door.nobody }));
  }
  for (const [name, fault] of Object.entries({ closed: 'close', reset: 'reset' })) {
    // on a connection that is kept from a request before
    const lost = (times) => async () => {
      const client = connect();
      await chat(client);
      await azureAnswers(fault, { times });
      return answer(await chat(client));
    };
    test(`${surface}: ${name} before any answer`, { requests: 4, replayed: 3, row: 'F-oai-lost', ...TOLD }, lost(9));
    test(`${surface}: ${name} once before any answer`, { replayed: 1, row: 'F-oai-lost', differs: CURED }, lost(1));
  }
}

// All cases of the openai package. Its versions differ in how they count, in where realtime is, and in paths.

import { assisted } from './openai-assistants.mjs';
import { describe, surfaces } from './openai-clients.mjs';
import { filed } from './openai-files.mjs';
import { chat, inference, streams, texts } from './openai-inference.mjs';
import { brings, refusesKeys, rows } from './openai-refusals.mjs';
import { repeats } from './openai-repeats.mjs';
import { kept, keptOnV1, responded, streamedResponse, told } from './openai-responses.mjs';
import { uploads } from './openai-uploads.mjs';
import { overRealtime } from './realtime.mjs';
import { arrived, azureAnswers, brokenOff, door, runAll, test } from './recorder.mjs';

const single = { ...inference, ...uploads, ...responded };
const everywhere = { ...single, ...filed, ...kept, ...assisted };
const operationsOf = { azure: everywhere, v1: { ...everywhere, ...keptOnV1 } };

/**
 * Registers and runs them.
 *
 * counting: the options that make clients of this version count their requests
 * realtime: the SDK's transports, by name
 * astray: what AzureOpenAI of this version asks for where Azure has nothing
 */
export async function runOpenAI({ counting, realtime, astray = [] }) {
  for (const [surface, connect] of Object.entries(surfaces(counting))) {
    const operations = operationsOf[surface];
    works(surface, connect, operations, surface === 'azure' ? astray : []);
    streaming(surface, connect);
    refusesKeys(surface, connect, operations);
    brings(surface, connect);
    rows(surface, connect);
    repeats(surface, connect);
    for (const [transport, Realtime] of Object.entries(realtime)) {
      const opened = {
        azure: (client, deploymentName) => Realtime.azure(client, { deploymentName }),
        v1: (client, model) => new Realtime({ model }, client),
      }[surface];
      overRealtime(`${surface}, ${transport}`, (apiKey, model) => opened(connect({ apiKey }), model));
    }
  }
  await runAll(describe);
}

function works(surface, connect, operations, astray) {
  for (const [name, operation] of Object.entries(operations)) {
    const refused = astray.includes(name) ? 'NotFoundError' : null;
    test(`${surface}: ${name}`, { refused, requests: name in single ? 1 : null }, () => operation(connect()));
  }
  for (const name of ['chat', 'chat, streamed', 'upload of a Buffer', 'upload of a file stream']) {
    test(`${surface}: ${name}, plain http`, { requests: 1, row: 'F-oai-plain' }, () =>
      operations[name](connect({ endpoint: door.openai_plain })));
  }
  test(`${surface}: a file stream is sent on as it comes`, { requests: 1 }, async () => {
    await operations['upload of a file stream'](connect());
    const [{ headers }] = await arrived();
    return headers.map(([name]) => name).filter((name) => ['content-length', 'transfer-encoding'].includes(name));
  });
  test(`${surface}: headers of an answer`, { requests: 1 }, async () => {
    const { response } = await chat(connect()).withResponse();
    // Azure's, and one of ours
    return [...response.headers.keys()].filter((name) => name !== 'x-keyswap-request-id').sort();
  });
}

/** What is heard of a stream, at most so many texts. */
const listened = {
  chat: (client, most) => texts(streams.chat(client), most),
  completions: (client, most) => texts(streams.completions(client), most),
  responses: (client, most) => told(streamedResponse(client), most),
};

function streaming(surface, connect) {
  for (const [name, listen] of Object.entries(listened)) {
    // it stands still in the middle and never goes on: what came so far would be lost to who waits for more
    test(`${surface}: ${name}: what comes is there at once`, { requests: 1 }, async () => {
      await azureAnswers('stall-mid-body');
      return listen(connect(), 2);
    });
    test(`${surface}: ${name}: cut midway`, { refused: 'BrokenOff', requests: 1 }, async () => {
      await azureAnswers('cut');
      await brokenOff(() => listen(connect()));
    });
  }
}

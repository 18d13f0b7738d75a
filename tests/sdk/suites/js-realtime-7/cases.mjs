// openai 7.57.0 for JavaScript over realtime: with `ws`, and with the WebSocket of the platform, which cannot
// send a header of its own.

import OpenAI, { AzureOpenAI } from 'openai';
import { OpenAIRealtimeWebSocket } from 'openai/realtime/websocket';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { describeRealtime, overRealtime } from './realtime.mjs';
import { door, runAll } from './recorder.mjs';

const azure = (apiKey) => new AzureOpenAI({ endpoint: door.openai, apiKey, apiVersion: '2024-10-01-preview' });
const v1 = (apiKey) => new OpenAI({ baseURL: `${door.openai}/openai/v1/`, apiKey });

for (const [transport, Realtime] of Object.entries({ ws: OpenAIRealtimeWS, native: OpenAIRealtimeWebSocket })) {
  overRealtime(`azure, ${transport}`, {
    connect: (apiKey, deploymentName) => Realtime.azure(azure(apiKey), { deploymentName }),
  });
  overRealtime(`v1, ${transport}`, { connect: (apiKey, model) => new Realtime({ model }, v1(apiKey)) });
}

await runAll(describeRealtime);

// openai 4.104.0 for JavaScript, which sends by node-fetch; on node 22, since its `native` realtime (both are its beta)
// is the platform's own WebSocket, which cannot send a header.

import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { OpenAIRealtimeWebSocket } from 'openai/beta/realtime/websocket';
import { OpenAIRealtimeWS } from 'openai/beta/realtime/ws';
import { runOpenAI } from './openai-cases.mjs';
import { requestSent } from './recorder.mjs';

const agents = { 'http:': new HttpAgent({ keepAlive: true }), 'https:': new HttpsAgent({ keepAlive: true }) };

/** node-fetch asks for the agent of each request. */
function countingAgent({ protocol }) {
  requestSent();
  return agents[protocol];
}

await runOpenAI({
  counting: { httpAgent: countingAgent },
  realtime: { ws: OpenAIRealtimeWS, native: OpenAIRealtimeWebSocket },
  // without a deployment in the path
  astray: ['image edit'],
});

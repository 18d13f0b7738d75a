// openai 6.49.0 for JavaScript, the newest for node 20, on node 22: its `native` realtime is the platform's own
// WebSocket, which cannot send a header.

import { OpenAIRealtimeWebSocket } from 'openai/realtime/websocket';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { runOpenAI } from './openai-cases.mjs';
import { countingFetch } from './recorder.mjs';

await runOpenAI({
  counting: { fetch: countingFetch },
  realtime: { ws: OpenAIRealtimeWS, native: OpenAIRealtimeWebSocket },
  // without a deployment in the path
  astray: ['image edit'],
});

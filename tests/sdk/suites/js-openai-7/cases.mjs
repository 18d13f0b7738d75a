// openai 7.57.0 for JavaScript, the newest: its `native` realtime is the platform's own WebSocket,
// which cannot send a header.

import { OpenAIRealtimeWebSocket } from 'openai/realtime/websocket';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { runOpenAI } from './openai-cases.mjs';
import { countingFetch } from './recorder.mjs';

await runOpenAI({
  counting: { fetch: countingFetch },
  realtime: { ws: OpenAIRealtimeWS, native: OpenAIRealtimeWebSocket },
});

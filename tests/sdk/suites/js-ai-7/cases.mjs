// ai 7.0.173 with @ai-sdk/azure 4.0.85, the newest.

import { runAI } from './ai-cases.mjs';

await runAI();

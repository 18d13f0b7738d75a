// ai 6.0.326 with @ai-sdk/azure 3.0.128, the newest for node 20.

import { runAI } from './ai-cases.mjs';

await runAI();

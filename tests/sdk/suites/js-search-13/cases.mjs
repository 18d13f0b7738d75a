// @azure/search-documents 13.0.0, the newest: it stumbles over errors without a body.

import { runSearch } from './search-cases.mjs';

await runSearch({ emptied: 'TypeError' });

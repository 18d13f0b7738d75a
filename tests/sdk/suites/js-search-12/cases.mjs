// @azure/search-documents 12.2.0.

import { runSearch } from './search-cases.mjs';

await runSearch({ emptied: 'RestError' });

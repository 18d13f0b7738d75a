// @azure/openai 1.0.0-beta.7, the last one that has its images made in the background, and asks until they are there.

import { runAzureOpenAI } from './azure-openai-cases.mjs';

await runAzureOpenAI({
  streamed: {
    chat: (client, model = 'gpt-4o') => client.listChatCompletions(model, [{ role: 'user', content: 'Say hello.' }]),
    completions: (client) => client.listCompletions('gpt-35-turbo-instruct', ['Say hello.']),
  },
  images: {
    make: async (client) => (await client.getImages('a harbour', { n: 2 })).data.length,
    requests: 3,
  },
});

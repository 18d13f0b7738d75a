// @azure/openai 1.0.0-beta.13, the last one before the openai package took its place.

import { runAzureOpenAI } from './azure-openai-cases.mjs';

await runAzureOpenAI({
  streamed: {
    chat: (client, model = 'gpt-4o') => client.streamChatCompletions(model, [{ role: 'user', content: 'Say hello.' }]),
    completions: (client) => client.streamCompletions('gpt-35-turbo-instruct', ['Say hello.']),
  },
  images: {
    make: async (client) => {
      const { data } = await client.getImages('dall-e-3', 'a harbour');
      return data.map(({ revisedPrompt }) => revisedPrompt);
    },
    requests: 1,
  },
});

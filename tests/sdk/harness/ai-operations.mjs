// What the AI SDK asks of @ai-sdk/azure, by name. Each operation takes a provider and the model that talks, and costs
// one request unless its name is in `long`.

import {
  Output, embed, embedMany, experimental_generateSpeech as generateSpeech, experimental_transcribe as transcribe,
  generateImage, generateObject, generateText, stepCountIs, streamObject, streamText, tool,
} from 'ai';
import { z } from 'zod';
import { heard, recording, sha256 } from './bytes.mjs';

const prompt = 'Say hello, Grüße.';
const schema = z.object({ text: z.string(), number: z.number() });
const weather = {
  description: 'The weather of a place',
  inputSchema: z.object({ place: z.string() }),
};
const SOUND = recording(1);

export const text = async (_, model, options = {}) => {
  const { text, finishReason, usage } = await generateText({ model, prompt, ...options });
  return { text, finishReason, usage };
};

/** The texts of a stream as they come, at most so many. */
export async function streamed(_, model, most = Infinity) {
  const texts = [];
  // what goes wrong comes as a part of the stream
  for await (const part of streamText({ model, prompt, onError: () => {} }).fullStream) {
    if (part.type === 'error') throw part.error;
    if (part.type === 'text-delta') texts.push(part.text);
    if (texts.length === most) break;
  }
  return texts;
}

async function streamedObject(_, model) {
  const parts = [];
  for await (const part of streamObject({ model, prompt, schema, onError: () => {} }).fullStream) {
    if (part.type === 'error') throw part.error;
    if (part.type === 'object') parts.push(part.object);
  }
  return parts.at(-1);
}

const called = ({ toolName, input }) => [toolName, input];

/** A tool is asked for, is used, and what it said is told. */
async function usedTool(_, model) {
  const tools = { weather: tool({ ...weather, execute: ({ place }) => `fine in ${place}` }) };
  const { steps, text } = await generateText({ model, prompt, tools, stopWhen: stepCountIs(3) });
  return [steps.map(({ toolCalls, finishReason }) => [toolCalls.map(called), finishReason]), text];
}

export const operations = {
  text,
  'text, streamed': streamed,
  'text with a tool': async (_, model) => {
    const tools = { weather: tool(weather) };
    return (await generateText({ model, prompt, tools, toolChoice: 'required' })).toolCalls.map(called);
  },
  'text with a tool that is used': usedTool,
  object: async (_, model) => (await generateObject({ model, prompt, schema })).object,
  'object, as an output': async (_, model) =>
    (await generateText({ model, prompt, output: Output.object({ schema }) })).output,
  'object, streamed': streamedObject,
  completion: (provider) => text(provider, provider.completion('gpt-35-turbo-instruct')),
  embedding: async (provider) => {
    const { embedding, usage } = await embed({ model: provider.embedding('text-embedding-3-small'), value: 'one' });
    return { embedding, usage };
  },
  embeddings: async (provider) =>
    (await embedMany({ model: provider.embedding('text-embedding-3-small'), values: ['one', 'two'] })).embeddings,
  image: async (provider) => {
    const { images } = await generateImage({ model: provider.image('dall-e-3'), prompt: 'a harbour' });
    return images.map(({ base64 }) => sha256(base64));
  },
  transcription: async (provider) =>
    heard((await transcribe({ model: provider.transcription('whisper'), audio: SOUND })).text, SOUND),
  speech: async (provider) => {
    const { audio } = await generateSpeech({ model: provider.speech('tts'), text: 'Grüße' });
    return [audio.format, sha256(audio.uint8Array)];
  },
};

export const long = ['text with a tool that is used'];

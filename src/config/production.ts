import { nearestOf } from '../core/nearest.js';
import { textOfVariable } from './read-settings.js';

const otherWords = ['prod', 'prd', 'live'];

export function isProduction(env: NodeJS.ProcessEnv): boolean {
  return textOfVariable(env, 'NODE_ENV')?.toLowerCase() === 'production';
}

/** What is not wrong, but lets a service run in production as if it were tried out. */
export function productionWarnings(env: NodeJS.ProcessEnv, isDemoUnasked: boolean): string[] {
  const text = textOfVariable(env, 'NODE_ENV') ?? '';
  const word = text.toLowerCase();
  const isMeant = otherWords.includes(word) || nearestOf(['production'], word) !== undefined;
  if (!isProduction(env)) {
    return isMeant ? [`NODE_ENV is ${text}; only production turns on the checks for production`] : [];
  }
  return isDemoUnasked
    ? ['No provider is configured: the demo model answers. Set OPENAI_API_KEY or another one, see README.md.']
    : [];
}

/** Providers that the conventions of OpenTelemetry for models call by another name than we do. */
const providerNames: Record<string, string> = { bedrock: 'aws.bedrock' };

export const genAiProvider = (provider: string): string => providerNames[provider] ?? provider;

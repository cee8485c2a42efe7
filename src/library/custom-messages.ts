/**
 * Message types of your own program, by declaration merging:
 *
 *     declare module 'paf-core-agent' {
 *       interface CustomAgentMessages { note: { role: 'note'; text: string; timestamp: number } }
 *     }
 */
export interface CustomAgentMessages {}

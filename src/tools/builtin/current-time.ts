import { type Tool, textResult } from '../tool.js';

type CurrentTimeOptions = {
  /** IANA name of the zone used when a call names none */
  timezone: string;
  now?: () => Date;
};

export function createCurrentTimeTool({ timezone, now = () => new Date() }: CurrentTimeOptions): Tool {
  zoneFormat(timezone);
  return {
    name: 'current_time',
    description:
      'The current date and time: ISO 8601 with UTC offset, weekday and time zone. ' +
      `Without an argument it uses the time zone ${timezone}.`,
    parameters: {
      type: 'object',
      properties: {
        timezone: {
          type: 'string',
          maxLength: 100,
          description: 'IANA time zone name, for example "Europe/Berlin" or "UTC"',
        },
      },
      additionalProperties: false,
    },
    isParallel: true,
    async execute(args) {
      const asked = typeof args.timezone === 'string' ? args.timezone.trim() : '';
      return textResult(describeTime(now(), asked || timezone));
    },
  };
}

function describeTime(date: Date, timezone: string): string {
  const parts: Record<string, string> = {};
  for (const { type, value } of zoneFormat(timezone).formatToParts(date)) parts[type] = value;
  const { year, month, day, hour, minute, second, weekday } = parts;
  const offset = parts.timeZoneName?.replace('GMT', '') || '+00:00';
  return `${year}-${month}-${day}T${hour}:${minute}:${second}${offset} (${weekday}, ${timezone})`;
}

function zoneFormat(timeZone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      hourCycle: 'h23',
      weekday: 'long',
      timeZoneName: 'longOffset',
    });
  } catch (cause) {
    throw new Error(
      `Unknown time zone "${timeZone}". Use an IANA name such as "Europe/Berlin", "America/New_York" or "UTC".`,
      { cause },
    );
  }
}

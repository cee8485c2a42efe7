import { type Static, type TSchema, Type } from 'typebox';
import Value from 'typebox/value';

const tokens = Type.Integer({ minimum: 1 });
const dollars = Type.Number({ minimum: 0 });
const name = Type.String({ minLength: 1, maxLength: 200 });
const closed = { additionalProperties: false };

const accepts = Type.Object(
  {
    images: Type.Boolean(),
    tools: Type.Boolean(),
    jsonSchema: Type.Boolean(),
    temperature: Type.Boolean(),
    reasoning: Type.Boolean(),
  },
  closed,
);

const thinking = Type.Object(
  {
    on: oneOf('adaptive', 'budget'),
    off: Type.Optional(oneOf('disabled', 'between_tools', 'never')),
  },
  closed,
);

/** What an adapter has to know of a model; provider.ts says what each means. */
const traits = {
  prefill: Type.Optional(Type.Boolean()),
  thinking: Type.Optional(thinking),
  promptCache: Type.Optional(Type.Boolean()),
  reasoningWithTools: Type.Optional(Type.Boolean()),
  /** seconds */
  firstTokenTimeout: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
};

const limits = { contextWindow: tokens, maxOutput: tokens, accepts, ...traits };

const price = Type.Object({ input: dollars, cachedInput: Type.Optional(dollars), output: dollars }, closed);

const model = Type.Object(
  {
    id: name,
    aliases: Type.Optional(Type.Array(name)),
    name,
    description: Type.String(),
    price: Type.Optional(price),
    ...limits,
  },
  closed,
);

const effort = Type.Object(
  { quick: Type.Optional(name), standard: Type.Optional(name), determined: Type.Optional(name) },
  closed,
);

const choices = {
  default: Type.Optional(name),
  effort: Type.Optional(effort),
  /** parts of the ids that the provider lists for something else than chat */
  notChat: Type.Optional(Type.Array(name)),
};

const unlisted = Type.Object({ match: Type.String(), provider: Type.Optional(name), ...limits }, closed);

const catalogSchema = Type.Object(
  {
    providers: Type.Record(Type.String(), Type.Object({ ...choices, models: Type.Array(model) }, closed)),
    unlisted: Type.Array(unlisted, { minItems: 1 }),
    notChat: Type.Array(name),
  },
  closed,
);

/** A model of which only the id has to be said. */
const knownModel = Type.Object(
  {
    id: name,
    aliases: Type.Optional(Type.Array(name)),
    name: Type.Optional(name),
    description: Type.Optional(Type.String()),
    price: Type.Optional(price),
    contextWindow: Type.Optional(tokens),
    maxOutput: Type.Optional(tokens),
    accepts: Type.Optional(Type.Partial(accepts, closed)),
    ...traits,
  },
  closed,
);

/** Where an endpoint of MODELS_FILE is; there is one api so far. */
const address = {
  api: Type.Optional(oneOf('openai')),
  baseUrl: Type.Optional(name),
  apiKeyEnv: Type.Optional(name),
  apiKeyFile: Type.Optional(name),
};

const overlaySchema = Type.Object(
  {
    providers: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Object({ ...choices, ...address, models: Type.Optional(Type.Array(knownModel)) }, closed),
      ),
    ),
    unlisted: Type.Optional(Type.Array(unlisted)),
    notChat: Type.Optional(Type.Array(name)),
  },
  closed,
);

export type CatalogData = Static<typeof catalogSchema>;
export type CatalogModel = Static<typeof model>;
/** What MODELS_FILE says: as much of a catalogue as it likes, and endpoints. */
export type CatalogOverlay = Static<typeof overlaySchema>;

export type Path = readonly (string | number)[];
export type Problem = { path: Path; message: string };

export const catalogProblems = (data: unknown): Problem[] => problemsOf(catalogSchema, data);
export const overlayProblems = (data: unknown): Problem[] => problemsOf(overlaySchema, data);

function oneOf<const T extends string>(...values: T[]) {
  return Type.Enum(values);
}

function problemsOf(schema: TSchema, data: unknown): Problem[] {
  if (Value.Check(schema, data)) return [];
  return [...Value.Errors(schema, data)].flatMap((error) => {
    const path = toPath(error.instancePath);
    switch (error.keyword) {
      case 'required':
        return error.params.requiredProperties.map((field) => ({
          path: [...path, field],
          message: 'is missing',
        }));
      case 'additionalProperties':
        return error.params.additionalProperties.map((field) => ({
          path: [...path, field],
          message: 'is not a known field',
        }));
      case 'enum':
        return [{ path, message: `must be one of ${error.params.allowedValues.join(', ')}` }];
      // an unknown field is reported a second time as a boolean schema
      case 'boolean':
        return [];
      default:
        return [{ path, message: error.message }];
    }
  });
}

function toPath(pointer: string): (string | number)[] {
  const parts = pointer.split('/').slice(1);
  return parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~')).map(toKey);
}

function toKey(part: string): string | number {
  return /^\d+$/.test(part) ? Number(part) : part;
}

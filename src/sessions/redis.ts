import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { createRedis, type RedisConnection, RedisFailure } from '../redis/connection.js';
import {
  type ListPosition,
  type Owner,
  ownerKey,
  type Session,
  type SessionChange,
  type SessionEntry,
  type SessionStore,
  type StoredSession,
  type StoreHealth,
  type StoreWarning,
} from './session-store.js';
import { unavailable } from './store-fault.js';

/** A server that is there answers within milliseconds. */
const commandTimeoutMs = 2_000;

/**
 * Sessions in one Redis server, for several processes. Of each owner, with `{hash}` made from tenant and subject:
 * `paf:{hash}:sessions`, a sorted set of session ids by the time of their last change; `paf:{hash}:session:<id>`, a hash
 * of fields; `paf:{hash}:entries:<id>`, a list of JSON. `paf:session-owner:<id>` keeps ids unique among owners. What
 * survives a restart of the server is a matter of its own settings (appendonly).
 */
export class RedisSessionStore implements SessionStore {
  readonly backend = 'redis';
  private readonly redis: RedisConnection;

  constructor(url: string, onWarning: StoreWarning = () => {}) {
    const onTrouble = (reason: string) => onWarning({ reason }, 'the session storage is not available');
    this.redis = createRedis(url, { commandTimeoutMs, onTrouble });
  }

  get health(): StoreHealth {
    const { failure } = this.redis;
    return failure === undefined ? { status: 'healthy' } : { status: 'unhealthy', error: failure };
  }

  /** Tries to connect. A server that is down may come up later, so that is not the end. */
  open(signal: AbortSignal): Promise<void> {
    return this.redis.open(signal);
  }

  async create(owner: Owner, { session, entries }: StoredSession, signal: AbortSignal): Promise<boolean> {
    const keys = keysOf(owner, session.id);
    const created = await this.call('saved', signal, (redis) =>
      redis.eval(
        createScript,
        4,
        keys.owner,
        keys.session,
        keys.list,
        keys.entries,
        ownerKey(owner),
        session.id,
        session.title,
        session.createdAt,
        session.updatedAt,
        ...entries.map((entry) => JSON.stringify(entry)),
      ),
    );
    return created === 1;
  }

  async find(owner: Owner, id: string, signal: AbortSignal): Promise<Session | undefined> {
    const fields = await this.call('read', signal, (redis) => redis.hgetall(keysOf(owner, id).session));
    return toSession(id, fields);
  }

  async read(owner: Owner, id: string, signal: AbortSignal): Promise<StoredSession | undefined> {
    const keys = keysOf(owner, id);
    return this.call('read', signal, async (redis) => {
      const results = await redis.multi().hgetall(keys.session).lrange(keys.entries, 0, -1).exec();
      const [fields, lines] = (results ?? []).map(([error, value]) => {
        if (error) throw error;
        return value;
      });
      const session = toSession(id, fields as Record<string, string>);
      return session && { session, entries: toEntries(lines as string[]) };
    });
  }

  async update(
    owner: Owner,
    id: string,
    { entries = [], title, updatedAt }: SessionChange,
    signal: AbortSignal,
  ): Promise<Session | undefined> {
    const keys = keysOf(owner, id);
    const fields = title === undefined ? ['updatedAt', updatedAt] : ['updatedAt', updatedAt, 'title', title];
    const answer = await this.call('saved', signal, (redis) =>
      redis.eval(
        updateScript,
        3,
        keys.session,
        keys.list,
        keys.entries,
        id,
        updatedAt,
        fields.length,
        ...fields,
        ...entries.map((entry) => JSON.stringify(entry)),
      ),
    );
    return toSession(id, pairs(answer as string[]));
  }

  async delete(owner: Owner, id: string, signal: AbortSignal): Promise<boolean> {
    const keys = keysOf(owner, id);
    const deleted = await this.call('deleted', signal, (redis) =>
      redis.eval(deleteScript, 4, keys.session, keys.list, keys.entries, keys.owner, id),
    );
    return deleted === 1;
  }

  async list(
    owner: Owner,
    after: ListPosition | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<Session[]> {
    const found: Session[] = [];
    await this.call('read', signal, async (redis) => {
      let position = after;
      let wanted = limit;
      // one that is deleted meanwhile must not make the page look like the last one
      while (wanted > 0) {
        const places = await placesAfter(redis, keysOf(owner, '').list, position, wanted);
        found.push(...(await sessionsAt(redis, owner, places)));
        if (places.length < wanted) return;
        position = places.at(-1);
        wanted = limit - found.length;
      }
    });
    return found;
  }

  async checkWritable(signal: AbortSignal): Promise<void> {
    await this.call('saved', signal, (redis) => redis.ping());
  }

  close(): Promise<void> {
    return this.redis.close();
  }

  private async call<T>(
    verb: 'read' | 'saved' | 'deleted',
    signal: AbortSignal,
    work: (redis: Redis) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.redis.call(work, signal);
    } catch (error) {
      if (!(error instanceof RedisFailure)) throw error;
      throw unavailable(verb, `the session storage ${error.reason}`, error.cause);
    }
  }
}

/** KEYS owner, session, list, entries; ARGV owner, id, title, createdAt, updatedAt, entries … */
const createScript = `
if redis.call('SET', KEYS[1], ARGV[1], 'NX') == false then return 0 end
redis.call('HSET', KEYS[2], 'title', ARGV[3], 'createdAt', ARGV[4], 'updatedAt', ARGV[5])
redis.call('ZADD', KEYS[3], ARGV[5], ARGV[2])
for i = 6, #ARGV do redis.call('RPUSH', KEYS[4], ARGV[i]) end
return 1`;

/** KEYS session, list, entries; ARGV id, updatedAt, number of field arguments, fields …, entries … */
const updateScript = `
if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
local last = 3 + tonumber(ARGV[3])
for i = last + 1, #ARGV do redis.call('RPUSH', KEYS[3], ARGV[i]) end
for i = 4, last, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
return redis.call('HGETALL', KEYS[1])`;

/** KEYS session, list, entries, owner; ARGV id */
const deleteScript = `
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[3], KEYS[4])
return 1`;

function keysOf(owner: Owner, id: string) {
  const hash = createHash('sha256').update(ownerKey(owner)).digest('hex').slice(0, 32);
  return {
    owner: `paf:session-owner:${id}`,
    session: `paf:{${hash}}:session:${id}`,
    entries: `paf:{${hash}}:entries:${id}`,
    list: `paf:{${hash}}:sessions`,
  };
}

function toSession(id: string, fields: Record<string, string>): Session | undefined {
  const { title, createdAt, updatedAt } = fields;
  if (title === undefined) return undefined;
  return { id, title, createdAt: Number(createdAt), updatedAt: Number(updatedAt) };
}

/** A command that is sent again after a lost connection may have added its entries twice. */
function toEntries(lines: string[]): SessionEntry[] {
  const entries = lines.map((line) => JSON.parse(line) as SessionEntry);
  return [...new Map(entries.toReversed().map((entry) => [entry.id, entry])).values()].toReversed();
}

async function sessionsAt(redis: Redis, owner: Owner, places: ListPosition[]): Promise<Session[]> {
  const pipeline = redis.pipeline();
  for (const { id } of places) pipeline.hgetall(keysOf(owner, id).session);
  const results = (await pipeline.exec()) ?? [];
  return places.flatMap(({ id }, index) => {
    const [error, fields] = results[index] ?? [];
    if (error) throw error;
    return toSession(id, fields as Record<string, string>) ?? [];
  });
}

/** Equal scores are in the order of their ids, so what comes after a position is found among those of its time. */
async function placesAfter(
  redis: Redis,
  list: string,
  after: ListPosition | undefined,
  limit: number,
): Promise<ListPosition[]> {
  if (!after) return toPlaces(await redis.zrevrange(list, 0, limit - 1, 'WITHSCORES'));
  const { id, updatedAt } = after;
  const same = await redis.zrevrangebyscore(list, updatedAt, updatedAt);
  const rest = same.filter((other) => other < id).slice(0, limit);
  const places = rest.map((other) => ({ id: other, updatedAt }));
  if (places.length === limit) return places;
  const [from, count] = [`(${updatedAt}`, limit - places.length];
  const older = await redis.zrevrangebyscore(list, from, '-inf', 'WITHSCORES', 'LIMIT', 0, count);
  return [...places, ...toPlaces(older)];
}

/** Ids and scores by turns. */
function toPlaces(flat: string[]): ListPosition[] {
  return flat.flatMap((id, index) => (index % 2 === 0 ? [{ id, updatedAt: Number(flat[index + 1]) }] : []));
}

function pairs(flat: string[]): Record<string, string> {
  const entries = flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1]]] : []));
  return Object.fromEntries(entries);
}

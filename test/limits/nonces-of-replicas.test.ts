import { expect, test } from 'vitest';
import { hmacEnv, signed } from '../helpers/credentials.ts';
import { hasRedis, useRedis } from '../helpers/redis-server.ts';
import { startService, type TestService } from '../helpers/service.ts';

const path = '/api/chat/models';
const send = ({ url }: TestService, headers: Record<string, string>) => fetch(url + path, { headers });

test.skipIf(!hasRedis)(
  'what one replica has let in no other one lets in again, and nobody without Redis',
  async () => {
    const redis = await useRedis();
    const env = { ...hmacEnv, LOG_LEVEL: 'silent', REDIS_URL: redis.url };
    const [one, two] = [await startService(env), await startService(env)];
    const headers = signed({ path });
    expect((await send(one, headers)).status).toBe(200);
    expect((await send(two, headers)).status).toBe(401);
    expect((await send(two, signed({ path }))).status).toBe(200);
    redis.pause();
    const startedMs = performance.now();
    const refused = await send(one, signed({ path }));
    expect(performance.now() - startedMs).toBeLessThan(1600);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await refused.json()).toMatchObject({ type: 'urn:paf:error:limits_unavailable' });
    redis.resume();
    await expect.poll(async () => (await send(one, signed({ path }))).status, { timeout: 5000 }).toBe(200);
  },
);

/**
 * The same core checks on two applications: one on Egg, one on a framework that extends Egg with a loader, defaults
 * and an agent of its own. Function processes have to boot on the framework that the host itself runs on.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { FIXTURES, startCluster, type Cluster, type ClusterOptions } from '../support/cluster';

interface Case {
  readonly title: string;
  readonly options: ClusterOptions;
  /** A function, its arguments and its result. */
  readonly calls: readonly (readonly [string, readonly unknown[], unknown])[];
  /** A route of the application, and its answer. */
  readonly route: readonly [string, string];
}

const CASES: readonly Case[] = [
  {
    title: 'Egg',
    options: { application: 'ingress-app', workers: 2 },
    calls: [['echo', [1], [1]], ['nothing', [], undefined], ['pets.add', ['a'], { trigger: 'oneapi', args: ['a'] }]],
    route: ['/pets', 'the application'],
  },
  {
    title: 'a framework of the application\'s own',
    options: {
      application: 'framework-app',
      framework: path.join(FIXTURES, 'custom-framework'),
      workers: 2,
      environment: { EGG_PLUGINS: JSON.stringify({ carton: { enable: true, path: path.dirname(FIXTURES) } }) },
    },
    calls: [
      ['orders', ['2'], [{ id: '2', user: '2', price: '7.50 CNY' }]],
      ['orders.price', [3], { price: '3.00 CNY', house: 'custom-framework' }],
      ['orders.things', [], ['compass', 'orders']],
    ],
    route: ['/', '{"house":"custom-framework","things":["compass","orders"]}'],
  },
];

for (const { title, options, calls, route: [routePath, routeBody] } of CASES) {
  describe(`an application on ${title}`, () => {
    let cluster: Cluster;
    before(async () => {
      cluster = await startCluster(options);
    });
    after(() => cluster.stop());

    for (const [name, args, result] of calls) {
      it(`answers the function ${name}`, async () => {
        const answer = await cluster.invoke(name, args);
        assert.deepEqual([answer.status, answer.text === '' ? undefined : answer.json()], [result === undefined ? 204 : 200, result], answer.text);
      });
    }

    it('keeps its own routes', async () => {
      assert.equal((await cluster.request(routePath)).text, routeBody);
    });

    it('answers errors from the table', async () => {
      assert.equal((await cluster.invoke('no-such-function')).code, 'CARTON_INGRESS_UNKNOWN_FUNCTION');
      assert.equal((await cluster.request(`/oneapi/${calls[0]?.[0] ?? ''}`)).code, 'CARTON_INGRESS_METHOD_NOT_ALLOWED');
    });

    it('runs functions in processes of their own', async () => {
      const names = calls.map(([name]) => name);
      await Promise.all(names.map((name) => cluster.invoke(name)));
      assert.ok(cluster.instances().length >= 1);
      assert.equal(cluster.workers.length, 2);
    });
  });
}

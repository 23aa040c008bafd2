import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuCount } from 'pgdog-cluster';

type Files = Record<string, string>;

const V2_ROOT = { '/proc/self/cgroup': '0::/\n' };
const V1_SELF = '12:cpuset:/\n4:cpu,cpuacct:/docker/abc\n0::/\n';

const CASES: [string, Files, number][] = [
  ['no control groups', {}, 8],
  ['v2 without a limit', { ...V2_ROOT, '/sys/fs/cgroup/cpu.max': 'max 100000\n' }, 8],
  ['v2 in a container', { ...V2_ROOT, '/sys/fs/cgroup/cpu.max': '200000 100000\n' }, 2],
  ['v2 rounds down', { ...V2_ROOT, '/sys/fs/cgroup/cpu.max': '290000 100000\n' }, 2],
  ['less than one CPU is one', { ...V2_ROOT, '/sys/fs/cgroup/cpu.max': '50000 100000\n' }, 1],
  ['more than there are', { ...V2_ROOT, '/sys/fs/cgroup/cpu.max': '9900000 100000\n' }, 8],
  [
    'v2 limit of an ancestor',
    {
      '/proc/self/cgroup': '0::/a.slice/b.service\n',
      '/sys/fs/cgroup/a.slice/b.service/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/a.slice/cpu.max': '300000 100000\n',
    },
    3,
  ],
  [
    'v1 at its path',
    {
      '/proc/self/cgroup': V1_SELF,
      '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us': '400000\n',
      '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us': '100000\n',
    },
    4,
  ],
  [
    'v1 at the root, as containers see it',
    {
      '/proc/self/cgroup': V1_SELF,
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '100000\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '50000\n',
    },
    2,
  ],
  [
    'v1 without a limit',
    {
      '/proc/self/cgroup': V1_SELF,
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    },
    8,
  ],
  [
    'nonsense',
    {
      '/proc/self/cgroup': '::::\n\nx\n',
      '/sys/fs/cgroup/cpu.max': 'x y z\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '',
    },
    8,
  ],
];

for (const [name, files, expected] of CASES) {
  test(`CPUs: ${name}`, () => {
    assert.equal(
      cpuCount((path) => files[path] ?? null, 8),
      expected,
    );
  });
}

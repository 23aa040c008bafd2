// Dockerfile, compose file and chart are texts that fit together, as far as that can be seen without their programs.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { load } from '../support/load-configuration.js';
import { findProgram } from '../support/programs.js';

const FOLDER = new URL('../../../packaging/', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, FOLDER), 'utf8');

const python = findProgram('python3');
const hasYaml = python.path !== null && spawnSync(python.path, ['-c', 'import yaml']).status === 0;
const skip = hasYaml ? false : 'python3 with yaml is not installed (python3-yaml)';
const helm = findProgram('helm');
const hadolint = findProgram('hadolint');

/** All documents of a YAML text. */
function parseYaml(text: string): unknown[] {
  const program = 'import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))';
  return JSON.parse(execFileSync(python.path ?? '', ['-c', program], { input: text, encoding: 'utf8' }));
}

type Node = Record<string, unknown>;

function at(root: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((node, key) => (node as Node | undefined)?.[key], root);
}

/** Without one error or warning. */
function checkConfiguration(config: string, users: string): void {
  const loaded = load({ config, users, environment: { PGDOG_POSTGRES_PASSWORD: 'x' } });
  assert.deepEqual(loaded.warnings, []);
}

describe('docker', () => {
  it('the Dockerfile has known instructions, a user and lists that are lists', () => {
    const lines = read('docker/Dockerfile')
      .split('\n')
      .filter((line) => !line.trimStart().startsWith('#') && line !== '')
      .join('\n')
      .replaceAll('\\\n', ' ')
      .split('\n');
    const known = [
      'FROM',
      'WORKDIR',
      'COPY',
      'RUN',
      'ENV',
      'USER',
      'EXPOSE',
      'STOPSIGNAL',
      'ENTRYPOINT',
      'CMD',
    ];
    const instructions = lines.map((line) => [line.slice(0, line.indexOf(' ')), line] as const);
    for (const [name, line] of instructions) assert.ok(known.includes(name), line);
    for (const [name, line] of instructions) {
      if (name === 'ENTRYPOINT' || name === 'CMD')
        assert.ok(Array.isArray(JSON.parse(line.slice(name.length))));
    }
    assert.match(lines[0], /^FROM node:\d+/);
    assert.ok(lines.some((line) => line.startsWith('USER ') && !line.includes('root')));
    assert.ok(lines.some((line) => line.startsWith('COPY --from=build')));
  });

  it('hadolint', { skip: hadolint.skip }, () => {
    execFileSync(hadolint.path ?? '', [fileURLToPath(new URL('docker/Dockerfile', FOLDER))]);
  });

  it('the compose file refers to what it has, and its configuration loads', { skip }, () => {
    const [compose] = parseYaml(read('docker/compose.yaml'));
    const services = at(compose, 'services') as Record<string, Node>;
    assert.deepEqual(Object.keys(services), ['shard0', 'shard1', 'shard2', 'setup', 'proxy']);
    for (const { depends_on: needs = {}, configs = [] } of Object.values(services)) {
      for (const name of Object.keys(needs as Node)) assert.ok(name in services, name);
      for (const { source } of configs as { source: string }[]) assert.ok(at(compose, `configs.${source}`));
    }
    checkConfiguration(
      String(at(compose, 'configs.pgdog.content')),
      String(at(compose, 'configs.users.content')),
    );
  });
});

describe('helm', () => {
  const templates = readdirSync(new URL('helm/pgdog-cluster/templates/', FOLDER));

  it('the chart and its values, whose configuration loads', { skip }, () => {
    const [chart] = parseYaml(read('helm/pgdog-cluster/Chart.yaml'));
    assert.equal(at(chart, 'apiVersion'), 'v2');
    const [values] = parseYaml(read('helm/pgdog-cluster/values.yaml'));
    checkConfiguration(String(at(values, 'config')), String(at(values, 'users')));
  });

  it('templates name values that are there, close what they open, and are YAML', { skip }, () => {
    const [values] = parseYaml(read('helm/pgdog-cluster/values.yaml'));
    for (const name of templates) {
      const text = read(`helm/pgdog-cluster/templates/${name}`);
      for (const [, path] of text.matchAll(/\.Values\.([\w.]+)/g)) {
        assert.notEqual(at(values, path), undefined, `${name}: .Values.${path}`);
      }
      const opened = text.match(/\{\{-? (if|with|range) /g)?.length ?? 0;
      assert.equal(text.match(/\{\{-? end /g)?.length ?? 0, opened, name);
      // Lines that are nothing but an action, and then what stands in place of the others.
      const filled = text.replaceAll(/^\s*\{\{.*\}\}\s*$/gm, '').replaceAll(/\{\{[^}]*\}\}/g, 'x');
      const documents = parseYaml(filled) as Node[];
      for (const document of documents) assert.ok(document.apiVersion && document.kind, name);
    }
  });

  it('the root is read-only, and there is a way to a place for what is kept', () => {
    const text = read('helm/pgdog-cluster/templates/deployment.yaml');
    assert.match(text, /readOnlyRootFilesystem: true/);
    assert.match(text, /with \.Values\.extraVolumeMounts \}\}\n {12}\{\{- toYaml \. \| nindent 12/);
    assert.match(text, /with \.Values\.extraVolumes \}\}\n {8}\{\{- toYaml \. \| nindent 8/);
  });

  it('helm lint, and what it renders has the further volumes', { skip: helm.skip }, () => {
    const chart = fileURLToPath(new URL('helm/pgdog-cluster', FOLDER));
    execFileSync(helm.path ?? '', ['lint', '--strict', chart]);
    const further = ['extraVolumes[0].name=kept', 'extraVolumeMounts[0].name=kept'];
    const set = further.flatMap((value) => ['--set', value]);
    const options = ['template', 'release', chart, '--kube-version', '1.30.0', ...set];
    const text = execFileSync(helm.path ?? '', options, { encoding: 'utf8' });
    assert.equal(text.match(/- name: kept$/gm)?.length, 2);
  });
});

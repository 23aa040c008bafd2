/** Readers of text: the SQL lexer and what stands on it, SCRAM on both sides, the admin database's commands. */
import assert from 'node:assert/strict';
import {
  deriveVerifier,
  isMappedUser,
  isPlainSql,
  matchHba,
  PgDogError,
  parseHba,
  parseIdentMap,
  parseIterations,
  parseVerifier,
  readSqlBytes,
  SASL_MESSAGE_BYTES_MAX,
  ScramServer,
  SqlLexer,
  type SqlParser,
  TOKEN_END,
  TOKEN_MALFORMED,
} from '@pgdog-cluster/core';
import { PasswordClient } from '../support/password-client.js';
import { mutate } from './byte-mutations.js';
import { behindWalls } from './codec-targets.js';
import { FuzzRandom } from './fuzz-random.js';
import type { FuzzTarget } from './fuzz-run.js';
import { serverFirst, sqlText } from './message-grammar.js';

const lexerTarget: FuzzTarget = {
  name: 'sql-lexer',
  generate: (random) => mutate(random, sqlText(random)),
  run(bytes) {
    const lexer = new SqlLexer();
    behindWalls(bytes, (within, start, end) => {
      lexer.reset(within, start, end);
      const tokens: number[][] = [];
      let before = start;
      for (;;) {
        const kind = lexer.next();
        if (kind === TOKEN_END || kind === TOKEN_MALFORMED) {
          assert.ok(lexer.end <= end && lexer.start <= lexer.end);
          assert.equal(lexer.next(), kind, 'an end is final');
          return tokens.concat([[kind]]);
        }
        assert.ok(lexer.start >= before && lexer.end > lexer.start && lexer.end <= end);
        before = lexer.end;
        tokens.push([kind, lexer.start, lexer.end]);
      }
    });
  },
};

/** Needs the grammar in WASM: slower, so fewer cases run. */
export function sqlReaderTarget(parser: SqlParser): FuzzTarget {
  return {
    name: 'sql-reader',
    generate: (random) => mutate(random, sqlText(random)),
    run(bytes) {
      const isPlain = behindWalls(bytes, isPlainSql);
      const plan = behindWalls(bytes, (within, start, end) => readSqlBytes(within, start, end, parser));
      assert.ok(Number.isInteger(plan.flags));
      if (!isPlain) return;
      // Transactions are followed by the ready status alone.
      const effects = plan.statements.map(({ effect }) => effect?.type ?? 'none');
      assert.ok(
        effects.every((type) => ['none', 'begin', 'commit', 'rollback'].includes(type)),
        `a plain text has effects: ${effects}`,
      );
    },
  };
}

const PASSWORD = 'secret';
const verifier = deriveVerifier(PASSWORD, 1);
const fixedRandom = () => new FuzzRandom(7);

/** With and without channel binding. */
function someBinding(random: FuzzRandom): { endPointHash: Uint8Array | null; mechanisms: string[] } {
  if (random.oneIn(2)) return { endPointHash: null, mechanisms: ['SCRAM-SHA-256'] };
  return { endPointHash: new Uint8Array(32), mechanisms: ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'] };
}

/** The client's two messages, one of them broken: without the right proof nobody gets in. */
const scramServerTarget: FuzzTarget = {
  name: 'scram-server',
  generate(random) {
    const client = new PasswordClient(PASSWORD, { random: fixedRandom(), ...someBinding(random) });
    const first = Buffer.from(client.start());
    return mutate(random, random.oneIn(2) ? first : Buffer.from(`n,,n=,r=${'x'.repeat(random.size(1100))}`));
  },
  run(bytes, random) {
    const { endPointHash, mechanisms } = someBinding(random);
    const server = new ScramServer({ user: 'u', verifiers: [verifier], random: fixedRandom(), endPointHash });
    const step = server.handleInitialResponse(mechanisms[0], random.oneIn(8) ? null : bytes);
    if (step.kind === 'failure') {
      assert.ok(step.error instanceof PgDogError && step.error.sqlstate.length === 5);
      // Over is over, whatever comes.
      assert.equal(server.handleResponse(bytes).kind, 'failure');
      return;
    }
    assert.equal(step.kind, 'continue');
    assert.ok(step.data.length <= bytes.length + SASL_MESSAGE_BYTES_MAX);
    const proof = Buffer.from(
      `c=biws,r=${Buffer.from(step.data).toString().slice(2).split(',')[0] ?? ''},p=${random.buffer(32).toString('base64')}`,
    );
    assert.notEqual(server.handleResponse(mutate(random, proof)).kind, 'success');
  },
};

/** A server that does not know the password: it never gets us to believe that it does, nor to work for it. */
const scramClientTarget: FuzzTarget = {
  name: 'scram-client',
  generate(random) {
    const client = new PasswordClient(PASSWORD, { random: fixedRandom() });
    const nonce = Buffer.from(client.start()).toString().split('r=')[1] ?? '';
    return mutate(random, serverFirst(random, random.oneIn(4) ? undefined : nonce));
  },
  run(bytes, random) {
    const client = new PasswordClient(PASSWORD, { random: fixedRandom() });
    client.start();
    const step = client.handleContinue(bytes);
    if (step.kind === 'continue') assert.ok(step.data.length <= 2 * 4096);
    else assert.equal(step.kind, 'failure');
    const final = client.handleFinal(
      random.oneIn(2) ? bytes : Buffer.from(`v=${random.buffer(32).toString('base64')}`),
    );
    assert.equal(final.kind, 'failure');
    assert.equal(client.isComplete, false);
  },
};

const HBA_LINES = [
  'host all,"a b" +x,ann 10.0.0.0/8 scram-sha-256 clientcert=verify-full',
  'hostssl sameuser,replication all ::1/128 cert map=m clientname=DN # x',
  'local "a""b" @names peer map=m \\',
  'host all all 10.0.0.1 255.255.0.0 reject',
];

/** Files of rules: each line is a rule or a problem with its number, and matching never throws. */
const hbaTarget: FuzzTarget = {
  name: 'hba',
  generate(random) {
    const lines = Array.from({ length: random.size(6) }, () => HBA_LINES[random.below(HBA_LINES.length)]);
    return mutate(random, Buffer.from(lines.join('\n')));
  },
  run(bytes) {
    const text = bytes.toString('latin1');
    const lineCount = text.split('\n').length;
    const { rules, problems } = parseHba('f', text, () => text);
    const idents = parseIdentMap('f', text);
    assert.ok(rules.length + problems.length <= lineCount);
    for (const { line } of [...rules, ...problems, ...idents.problems])
      assert.ok(line >= 1 && line <= lineCount);
    const subject = { user: text, database: 'x', isTls: true, isReplication: false };
    for (const address of [null, '10.0.0.1', text]) {
      for (const groups of ['unasked', 'unanswerable', new Set(['x'])] as const) {
        const rule = matchHba(rules, { ...subject, address, groups });
        // A question is put only where nobody has been asked.
        assert.ok(rule !== 'ask' || groups === 'unasked');
      }
    }
    isMappedUser(idents.mappings, 'm', text, text);
  },
};

const verifierTarget: FuzzTarget = {
  name: 'scram-verifier',
  generate: (random) =>
    mutate(
      random,
      Buffer.from(
        'SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2E=$4XoP4GoVUXRLQ1Qku2bWIsFpoj4eaZFvVEt5X0lXVP8=:a6ZbvVBM0eHPEbv0zR1Oa8gUyXyyN0gW0iW3oJ6p4qw=',
      ),
    ),
  run(bytes) {
    const parsed = parseVerifier(bytes.toString('latin1'));
    if (parsed === null) return;
    assert.equal(parsed.storedKey.length, 32);
    assert.equal(parsed.serverKey.length, 32);
    assert.ok(parsed.iterations >= 1 && parsed.salt.length > 0);
    assert.equal(parseIterations(String(parsed.iterations)), parsed.iterations);
  },
};

export const TEXT_TARGETS: readonly FuzzTarget[] = [
  lexerTarget,
  scramServerTarget,
  scramClientTarget,
  verifierTarget,
  hbaTarget,
];

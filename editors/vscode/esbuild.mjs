// Bundles the extension into dist/extension.js, or with --tests the tests into dist/test/.
import { readdirSync } from 'node:fs';
import { build } from 'esbuild';

const tests = process.argv.includes('--tests');
await build({
    entryPoints: tests ? readdirSync('test').map((name) => `test/${name}`) : ['src/extension.ts'],
    [tests ? 'outdir' : 'outfile']: tests ? 'dist/test' : 'dist/extension.js',
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['vscode'],
    minify: process.argv.includes('--minify'),
    sourcemap: !process.argv.includes('--minify'),
    logLevel: 'warning',
});

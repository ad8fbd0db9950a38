// Builds the redraft wheel (server, engine and embedded model) into bundled/, for "Redraft: Install Engine".
// The Python to build with: $PYTHON, else python3.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';

const here = path.dirname(import.meta.dirname);
const repository = path.resolve(here, '../..');
const bundled = path.join(here, 'bundled');

rmSync(bundled, { recursive: true, force: true });
rmSync(path.join(repository, 'build', 'lib'), { recursive: true, force: true }); // or deleted modules would come along
mkdirSync(bundled);
copyFileSync(path.join(repository, 'LICENSE'), path.join(here, 'LICENSE'));
const pip = ['-m', 'pip', 'wheel', '--quiet', '--disable-pip-version-check', '--no-deps', '--wheel-dir', bundled, repository];
const { status } = spawnSync(process.env.PYTHON ?? 'python3', pip, { stdio: 'inherit' });
process.exit(status ?? 1);

import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import tseslint from 'typescript-eslint';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Clock, timers and child processes are inputs: only `base` and the composition of tests may reach for the real ones. */
const inputsOnly = {
  'no-restricted-imports': [
    'error',
    { paths: ['child_process', 'node:child_process', 'timers', 'node:timers', 'node:timers/promises'] },
  ],
  'no-restricted-properties': [
    'error',
    { object: 'Date', property: 'now', message: 'Take a Clock (base/clock).' },
    { object: 'performance', property: 'now', message: 'Take a Clock (base/clock).' },
  ],
  'no-restricted-globals': [
    'error',
    { name: 'setTimeout', message: 'Take a Clock (base/clock).' },
    { name: 'setInterval', message: 'Take a Clock (base/clock).' },
  ],
  'no-restricted-syntax': [
    'error',
    { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'Take a Clock (base/clock).' },
  ],
};

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.base],
    languageOptions: {
      parserOptions: {
        project: [
          'tsconfig.json',
          'test/tsconfig.json',
          'src/web/pages/tsconfig.json',
          'src/sim/center/pages/tsconfig.json',
        ],
        tsconfigRootDir: root,
      },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-empty': ['error', { allowEmptyCatch: false }],
      'prefer-const': 'error',
      eqeqeq: 'error',
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/base/**', 'src/web/pages/**', 'src/sim/center/pages/**'],
    rules: inputsOnly,
  },
);

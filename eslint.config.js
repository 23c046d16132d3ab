// Lint rules of this package: typescript-eslint's strict set, with types where they find real mistakes, and the
// house's own limits. The order of the rooms is dependency-cruiser's (.dependency-cruiser.cjs).
'use strict';

const eslint = require('@eslint/js');
const tseslint = require('typescript-eslint');

/** Code that is shipped: what users meet, and what must not fail without a code. */
const SHIPPED = ['index.ts', 'koa.ts', 'agent.ts', 'app.ts', 'app/**/*.ts', 'bin/**/*.ts', 'config/**/*.ts', 'lib/**/*.ts', 'plugin-sidecar/**/*.ts'];

const UNCODED_ERROR = {
  selector: 'ThrowStatement > NewExpression[callee.name=/^(Error|TypeError|RangeError)$/]',
  message: 'Operating errors come from the table in lib/support/errors.ts; mistakes of ours are asserts.',
};

/**
 * The house's number is three. Four pass, because an object per frame or argument costs on the way of a request;
 * constructors pass, because theirs are few objects that they keep.
 */
const POSITIONAL = [
  'FunctionDeclaration[params.length>4]',
  'ArrowFunctionExpression[params.length>4]',
  'MethodDefinition[kind!="constructor"] > FunctionExpression[params.length>4]',
].map((selector) => ({ selector, message: 'At most three positional parameters, four at the utmost; take an object of options.' }));

module.exports = tseslint.config(
  {
    // Compiled output stands beside its source; fixtures are applications as users write them.
    ignores: ['**/*.js', '!eslint.config.js', '**/*.d.ts', '!types/**/*.d.ts', '**/node_modules/**', 'fixtures/**', '**/typings/**', '**/logs/**', '**/run/**', 'coverage/**'],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strict],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: __dirname } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // With types: each of these has found a real mistake somewhere.
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: false } }],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/no-unnecessary-type-assertion': 'error',
      // `require` is how a host loads code that its user named.
      '@typescript-eslint/no-require-imports': 'off',
      // Classes without fields mark boundaries here, and `{}` is what users merge their types into.
      '@typescript-eslint/no-extraneous-class': 'off',
      // Properties of Egg's objects and of `require.cache` have names that only a run tells.
      '@typescript-eslint/no-dynamic-delete': 'off',
      // It takes `this.#timer ??= …` for never read.
      'no-unused-private-class-members': 'off',
      'no-empty': ['error', { allowEmptyCatch: false }],
      'no-warning-comments': ['error', { terms: ['todo', 'fixme', 'xxx'], location: 'anywhere' }],
      'max-lines': ['error', { max: 400 }],
      'max-lines-per-function': ['error', { max: 70 }],
      'no-restricted-syntax': ['error', ...POSITIONAL],
    },
  },
  {
    files: SHIPPED,
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'error',
      '@typescript-eslint/no-unsafe-call': 'error',
      '@typescript-eslint/no-unsafe-member-access': 'error',
      '@typescript-eslint/no-unsafe-return': 'error',
      '@typescript-eslint/no-unsafe-argument': 'error',
      'no-console': 'error',
      'no-restricted-syntax': ['error', UNCODED_ERROR, ...POSITIONAL],
    },
  },
  {
    // A suite is one function, however many cases it has; helpers of tests say what they take in one line,
    // and functions under test throw whatever users' code may throw.
    files: ['test/**/*.ts', 'examples/**/test/**/*.ts'],
    rules: {
      'max-lines-per-function': 'off',
      'no-restricted-syntax': 'off',
      '@typescript-eslint/only-throw-error': 'off',
      '@typescript-eslint/no-unnecessary-type-assertion': 'off',
    },
  },
  {
    // One row of the table is one call.
    files: ['lib/support/errors.ts'],
    rules: { 'no-restricted-syntax': ['error', UNCODED_ERROR] },
  },
  {
    // A declaration that is merged into Egg's repeats its type parameters.
    files: ['examples/**/app/extend/*.ts'],
    rules: { '@typescript-eslint/no-unused-vars': 'off' },
  },
  {
    files: ['**/*.cjs', 'eslint.config.js'],
    languageOptions: { globals: { require: 'readonly', module: 'writable', __dirname: 'readonly' } },
  },
  {
    files: ['**/*.mjs'],
    languageOptions: { globals: { process: 'readonly', fetch: 'readonly', console: 'readonly' } },
  },
);

/**
 * The errors that a caller of this application can meet. Callers match on the
 * code; the middleware `error_json` turns them into a response.
 */

const STATUS_BY_CODE = {
  BFF_INVALID: 422,
  BFF_UNAUTHORIZED: 401,
  BFF_NOT_FOUND: 404,
  BFF_CONFLICT: 409,
  BFF_UPSTREAM_FAILED: 502,
  BFF_UPSTREAM_TIMEOUT: 504,
  BFF_CONFIG: 500,
} as const;

export type BffErrorCode = keyof typeof STATUS_BY_CODE;

export interface FieldProblem {
  /** Path of the field in the form, as in `lines[0].quantity`. */
  field: string;
  message: string;
}

export class BffError extends Error {
  readonly code: BffErrorCode;
  readonly status: number;
  readonly problems: readonly FieldProblem[];

  constructor(code: BffErrorCode, message: string, problems: readonly FieldProblem[] = []) {
    super(message);
    this.name = 'BffError';
    this.code = code;
    this.status = STATUS_BY_CODE[code];
    this.problems = problems;
  }
}

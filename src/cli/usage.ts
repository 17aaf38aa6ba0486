import { InputError } from '../../uapi/input_error.js';

/** A wrong option or argument: its message is all that the user needs; the exit status is 2. */
export class UsageError extends InputError {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

import { setFlagsFromString } from 'node:v8';

// While the program is loaded, V8's young generation would grow to a size that an idle service never needs and V8 does not
// give back: a fifth of its memory. So it is kept small until the service listens, and then grows with the load as always.
setFlagsFromString('--semi-space-growth-factor=1');
const { serve } = await import('./serve.js');
await serve();
setFlagsFromString('--semi-space-growth-factor=2');

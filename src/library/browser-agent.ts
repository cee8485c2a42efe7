import { type AgentOptions, StatefulAgent } from './agent.js';

/** A conversation with a model and its tools. In a browser it needs a `streamFn`, such as one that calls `streamProxy`. */
export class Agent extends StatefulAgent {
  constructor(options: AgentOptions = {}) {
    super(options, {
      streamFn: undefined,
      model() {
        throw new Error('In a browser an agent needs initialState.model, or setModel.');
      },
    });
  }
}

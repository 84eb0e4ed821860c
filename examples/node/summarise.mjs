// The client of this example: streams a summary word by word, and answers a question about it.
import OpenAI from "openai";

export class Summariser {
  constructor({ model, ...options }) {
    this.model = model;
    this.client = new OpenAI(options); // reads OPENAI_BASE_URL and OPENAI_API_KEY
  }

  async summarise(text, onWord = () => {}) {
    const stream = this.client.responses.stream({ model: this.model, input: `Summarise: ${text}` });
    stream.on("response.output_text.delta", (event) => onWord(event.delta));
    const response = await stream.finalResponse();
    this.last = response.id;
    return response.output_text;
  }

  async ask(question) {
    const response = await this.client.responses.create({
      model: this.model,
      input: question,
      previous_response_id: this.last,
    });
    return response.output_text;
  }
}

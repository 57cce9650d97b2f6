"""The two files of a run, to start from."""

MODELS = """\
models:
  - name: small                          # how it is called here
    endpoint: https://api.example.com/v1 # POST {endpoint}/chat/completions
    api_key: ${EXAMPLE_API_KEY}          # a variable of the server's environment; never a key itself
    model: example-small-1               # the id that is sent (default: the name)
    max_tokens: 512
    temperature: 0.0
    concurrency: 4                       # at most so many calls at once
    requests_per_minute: 120
    price_input_per_1k_usd: 0.0002
    price_output_per_1k_usd: 0.0008
  - name: large
    endpoint: https://llm.example.org/v1
    headers:
      Authorization: "Bearer ${EXAMPLE_TOKEN}"
    timeout_s: 60
    retries: 4
    stream: auto                         # true, false, or what the health check finds
"""
QUERIES = """\
{"query": "What is 17 * 24?", "category": "math", "ground_truth": "408", "metric": "GSM8K"}
{"query": "What is the capital of France?", "category": "other", "ground_truth": "B", "choices": ["London", "Paris", "Berlin", "Rome"]}
{"query": "Simplify 2/4. Give the result in \\\\boxed{}.", "category": "math", "ground_truth": "\\\\frac{1}{2}", "metric": "MATH"}
{"query": "Who wrote Les Misérables?", "category": "other", "ground_truth": "Victor Hugo"}
{"query": "Write a Python function add(a, b).", "category": "computer science", "ground_truth": "['assert add(1, 2) == 3']", "metric": "code_eval"}
"""

"""The fields that a chat may carry. What stands in no list here is refused by its name, as OpenAI refuses what it does
not know: a field that nobody looked at might make a provider sell something else than was quoted.
"""

OPENAI = frozenset(
    {
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "metadata",
        "modalities",
        "parallel_tool_calls",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "stop",
        "store",
        "temperature",
        "tool_choice",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
    }
)
"""Those that OpenAI documents, beside the ones we read."""
OTHERS = frozenset(
    {
        # Which words are chosen: vLLM, llama.cpp, TGI, and routers to them.
        "bad_words",
        "guided_choice",
        "guided_grammar",
        "guided_json",
        "guided_regex",
        "ignore_eos",
        "include_stop_str_in_output",
        "min_p",
        "min_tokens",
        "repetition_penalty",
        "skip_special_tokens",
        "spaces_between_special_tokens",
        "stop_token_ids",
        "structured_outputs",
        "top_a",
        "top_k",
        "typical_p",
        # Whether and how long a model thinks, within the cap of its answer.
        "chat_template_kwargs",
        "enable_thinking",
        "include_reasoning",
        "reasoning",
        "reasoning_format",
        "think",
        "thinking",
        "thinking_budget",
        # How an answer goes on from the last message, and what a provider's cache keeps of the prompt.
        "add_generation_prompt",
        "cache_control",
        "cache_prompt",
        "continue_final_message",
        # Mistral.
        "prompt_mode",
        "random_seed",
        "safe_prompt",
    }
)
"""Those of other makers that change how an answer is written, and neither what is sold nor how much of it at most."""
TEMPLATE_SETTINGS = frozenset({"enable_thinking", "preserve_thinking", "reasoning_effort", "thinking"})
"""What may be told to a model's chat template. Another template, or text for it, would be a prompt of any length."""
KNOWN = OPENAI | OTHERS

NOT_FOR_SALE = {
    "audio": "audio output",
    "best_of": "best_of",
    "chat_template": "a chat template of one's own",
    "compound_custom": "a provider's own tools",
    "connectors": "provider web search",
    "documents": "documents beside the messages",
    "enable_search": "provider web search",
    "extra_body": "settings of the provider",
    "max_new_tokens": "another cap than max_tokens",
    "max_output_tokens": "another cap than max_tokens",
    "mm_processor_kwargs": "settings of the image processor",
    "models": "a list of models",
    "n_predict": "another cap than max_tokens",
    "num_predict": "another cap than max_tokens",
    "options": "settings of the provider",
    "plugins": "provider plugins",
    "prediction": "predicted outputs",
    "preset": "provider presets",
    "provider": "provider preferences",
    "route": "provider routing",
    "safety_model": "a second model",
    "search_options": "provider web search",
    "search_parameters": "provider web search",
    "search_settings": "provider web search",
    "service_tier": "service tiers",
    "transforms": "provider transforms",
    "venice_parameters": "provider web search",
    "web_search": "provider web search",
    "web_search_options": "provider web search",
}
"""Of the rest those that clients send, in words that say why."""

ROLES = ("assistant", "developer", "function", "system", "tool", "user")
MEDIA_OF_MESSAGE = ("audio", "files", "images", "videos")
"""Where some providers read media from beside a message's content; images are priced in the content only."""
OF_MESSAGE = frozenset({"cache_control", "content", "name", "role", "tool_call_id"})
"""What a message carries that is not the assistant's. That one comes from a provider, with fields of its own, and
clients give it back as it came."""
SPELLED = frozenset({"content", "role", "tool_calls", "tool_call_id", *MEDIA_OF_MESSAGE})
PART_KINDS = (None, "text", "refusal", "thinking", "reasoning")
OF_PART = frozenset({"type", "text", "refusal", "thinking", "reasoning", "signature", "cache_control"})
"""All that a part of text may carry. Some providers take `video_url` and its like from a part of any type."""

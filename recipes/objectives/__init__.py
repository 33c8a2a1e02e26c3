"""The paper's maths as pure torch (§3.2.1): no framework, no configuration, no records.

One update, in the order of the calls::

    group_advantages(rewards, truncated)            [P, G]     Eq. 2 and overlong filtering     advantages.py
    response_mask(prompt_lengths, total_lengths)    [B, S-1]   what is trained on               response_mask.py
    token_weights(mask & kept, group_index, …)      [B, S-1]   the denominators of Eq. 1        token_weights.py
    vocab_parallel_log_probs_and_entropy(logits)    [B, S-1]   of softmax(logits / T)           log_probs.py
    grpo_loss(log_probs, advantages, weights)       scalar     Eq. 1, a plain sum               policy_loss.py
    rollout_summary(…), masked_tally(entropy, …)    sums       what the step reports            summaries.py
"""

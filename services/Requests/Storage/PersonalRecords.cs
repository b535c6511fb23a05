using System.Security.Cryptography;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Intake;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Storage;

/// <summary>Reads what is encrypted in a request's events.</summary>
public sealed class PersonalRecords(PersonalDataVault vault, ILogger<PersonalRecords> logger)
{
    public static IResult Gone => Problems.Of(StatusCodes.Status410Gone, "erased", "The personal data of this request was erased.");

    /// <summary>The intake in clear; null when the person in need or the caller was erased.</summary>
    public async Task<CallForHelp?> RevealAsync(RequestState state, CancellationToken cancellation) =>
        await PersonAsync(state, cancellation) is { } person && await CallerAsync(state, cancellation) is { } caller
            ? CallForHelp.Restore(state, person, caller)
            : null;

    public Task<PersonInNeed?> PersonAsync(RequestState state, CancellationToken cancellation) =>
        RevealAsync<PersonInNeed>(state.PersonId.Value, ContentOf(state).Person, cancellation);

    public Task<Caller?> CallerAsync(RequestState state, CancellationToken cancellation) =>
        RevealAsync<Caller>(state.CallerId.Value, ContentOf(state).Caller, cancellation);

    public async Task<string?> WordsAsync(RequestState state, Protected words, CancellationToken cancellation) =>
        (await RevealAsync<SpokenWords>(state.PersonId.Value, words, cancellation))?.Text;

    public static Task<Protected> ProtectWordsAsync(PersonalDataVault vault, RequestState state, string text, CancellationToken cancellation) =>
        vault.ProtectAsync(state.PersonId.Value, new SpokenWords(text), cancellation);

    private async Task<T?> RevealAsync<T>(Guid person, Protected data, CancellationToken cancellation) where T : class
    {
        try
        {
            return await vault.RevealAsync<T>(person, data, cancellation);
        }
        catch (AuthenticationTagMismatchException exception)
        {
            // The person was erased and has called again since: there is a key, but a new one.
            logger.LogWarning(exception, "Data of the person {PersonId} does not open with the present key", person);
            return null;
        }
    }

    private static IntakeContent ContentOf(RequestState state) =>
        state.Content ?? throw new InvalidOperationException("The state was not folded from the log.");

    private sealed record SpokenWords(string Text);
}

using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Groups.Features;

/// <summary>How a responder is reached. Personal data: it is stored only under the responder's own key.</summary>
public sealed record Contact(string? CoordinatorName, IReadOnlyList<ContactChannel> Channels)
{
    public bool Equals(Contact? other) => other is not null && CoordinatorName == other.CoordinatorName && Channels.SequenceEqual(other.Channels);
    public override int GetHashCode() => HashCode.Combine(CoordinatorName, Channels.Count);
}

public sealed record ContactChannel(string Kind, string Address, string? Secret);

public sealed class ContactVault(PersonalDataVault vault)
{
    /// <summary>
    /// The entry that <paramref name="body"/> describes, its contact encrypted. A contact that has not changed keeps its
    /// ciphertext, which is what makes a repeat equal to what is stored.
    /// </summary>
    public async Task<DirectoryEntry> SealAsync(Guid id, EntryBody body, IReadOnlyList<string> managedBy, DirectoryEntry? stored, CancellationToken cancellation)
    {
        var known = stored is null ? null : await RevealAsync(id, stored, cancellation);
        var contact = body.ToContact(known);
        var entry = body.ToEntry(managedBy) with { Imported = stored?.Imported };
        if (contact is null)
            return entry;
        return entry with { Contact = contact.Equals(known) ? stored!.Contact : await vault.ProtectAsync(id, contact, cancellation) };
    }

    /// <summary>Null when there is no contact, or when it was erased.</summary>
    public async Task<Contact?> RevealAsync(Guid id, DirectoryEntry entry, CancellationToken cancellation) =>
        entry.Contact is { } sealedContact ? await vault.RevealAsync<Contact>(id, sealedContact, cancellation) : null;
}
